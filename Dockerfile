# One image for every role: `serve`, `collect`, `mcp`. Not run yet: written without a container runtime at hand.
FROM python:3.12-slim
RUN useradd --create-home --uid 10001 openmanager
WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY assistant assistant
COPY engines engines
COPY mcp_server mcp_server
COPY monitoring monitoring
COPY web web
RUN pip install --no-cache-dir '.[postgres]' && mkdir /data && chown openmanager /data
USER openmanager
ENV OPENMANAGER_DATA_DIR=/data
VOLUME /data
ENTRYPOINT ["openmanager"]
CMD ["serve"]
