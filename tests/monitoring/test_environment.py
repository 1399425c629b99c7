"""Where we run: limits of containers, stages, and the profile that fits."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitoring.environment import PROFILES, detect


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "cores", "memory", "profile"),
    [
        ({"sys/fs/cgroup/cpu.max": "50000 100000\n", "sys/fs/cgroup/memory.max": "536870912\n"}, 0.5, 2.0**29, "basic"),
        ({"sys/fs/cgroup/cpu.max": "max 100000\n", "sys/fs/cgroup/memory.max": "max\n"}, None, None, None),
        (
            {
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824",
            },
            1.0,
            2.0**30,
            "basic",
        ),
        (
            {
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            },
            None,
            None,
            None,
        ),
        ({}, None, None, None),
    ],
    ids=["v2", "v2 without limits", "v1", "v1 without limits", "none"],
)
def test_limits_of_a_container_are_what_we_may_use(
    tmp_path: Path, files: dict[str, str], cores: float | None, memory: float | None, profile: str | None
) -> None:
    found = detect(root=tree(tmp_path, files), names={})
    assert (found.cpu_limit, found.memory_limit_bytes, found.container) == (cores, memory, False)
    assert found.cores == (cores or found.cores) > 0
    assert found.memory_bytes == (memory or found.memory_bytes) > 0
    if profile is not None:
        assert found.profile().name == profile


def test_the_setting_comes_before_the_usual_variables_and_a_named_profile_before_detection(tmp_path: Path) -> None:
    assert detect(root=tmp_path, names={}).stage == "development"
    assert detect(root=tmp_path, names={"APP_ENV": "prod"}).stage == "production"
    assert detect("staging", root=tmp_path, names={"NODE_ENV": "production"}).stage == "staging"
    assert detect(root=tmp_path, names={"KUBERNETES_SERVICE_HOST": "10.0.0.1"}).container
    assert detect(root=tree(tmp_path, {".dockerenv": ""}), names={}).container
    numbers = {name: (p.servers, p.interval_s, p.manner) for name, p in PROFILES.items()}
    assert numbers == {
        "local": (50, 5.0, "aggressive"),
        "premium": (20, 10.0, "balanced"),
        "basic": (6, 15.0, "minimal"),
    }
    assert [detect(root=tmp_path, names={}).profile(name).name for name in PROFILES] == list(PROFILES)
