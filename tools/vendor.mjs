/** Makes web/static/vendor/ from the packages pinned in package-lock.json: `npm ci && node vendor.mjs`. */
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const HERE = dirname(fileURLToPath(import.meta.url));
const OUT = join(HERE, '..', 'web', 'static', 'vendor');
const SHIPPED = ['preact', 'htm', 'swr', 'dequal', 'uplot'];

const ENTRY = `
export { h, render, Fragment } from 'preact';
export { useCallback, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
export { memo, useSyncExternalStore } from 'preact/compat';
export { default as useSWR, mutate } from 'swr';
export { default as uPlot } from 'uplot';
import { h } from 'preact';
import htm from 'htm';
export const html = htm.bind(h);
`;

rmSync(OUT, { recursive: true, force: true });
mkdirSync(join(OUT, 'LICENSES'), { recursive: true });
await build({
  stdin: { contents: ENTRY, resolveDir: HERE },
  outfile: join(OUT, 'vendor.js'),
  bundle: true,
  format: 'esm',
  minify: true,
  target: 'es2022',
  legalComments: 'none',
  banner: { js: '/* Made by tools/vendor.mjs; versions and licences: VERSIONS.json, LICENSES/. */' },
  define: { 'process.env.NODE_ENV': '"production"' },
  alias: { react: 'preact/compat', 'use-sync-external-store/shim': 'preact/compat' },
});
copyFileSync(join(HERE, 'node_modules/uplot/dist/uPlot.min.css'), join(OUT, 'uPlot.css'));

const packages = SHIPPED.map((name) => {
  const home = join(HERE, 'node_modules', name);
  const { version, license } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8'));
  const licenceFile = readdirSync(home).find((file) => /^licen[cs]e/i.test(file));
  copyFileSync(join(home, licenceFile), join(OUT, 'LICENSES', `${name}.txt`));
  return { name, version, license };
});
const files = Object.fromEntries(['vendor.js', 'uPlot.css'].map((file) => [file, sha256(join(OUT, file))]));
writeFileSync(join(OUT, 'VERSIONS.json'), `${JSON.stringify({ packages, sha256: files }, null, 2)}\n`);

function sha256(path) {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
