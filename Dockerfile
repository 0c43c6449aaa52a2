# The server in a container: not root, nothing written but under /data and /tmp.
#   docker compose up        starts it with PostgreSQL
FROM python:3.11-slim AS build
ARG PIP_OPTIONS=""
WORKDIR /source
RUN python -m venv /opt/ktrdr
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY src ./src
RUN /opt/ktrdr/bin/pip install --no-cache-dir ${PIP_OPTIONS} --constraint constraints.txt setuptools \
 && /opt/ktrdr/bin/pip install --no-cache-dir ${PIP_OPTIONS} --constraint constraints.txt --no-build-isolation '.[postgres,tracing]'

FROM python:3.11-slim
COPY --from=build /opt/ktrdr /opt/ktrdr
RUN useradd --system --uid 10001 --create-home ktrdr && install -d -o ktrdr /data
ENV PATH=/opt/ktrdr/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    NUMBA_CACHE_DIR=/tmp/numba \
    KTRDR_HOME=/data \
    KTRDR_HOST=0.0.0.0 \
    KTRDR_LOG_FORMAT=json
USER ktrdr
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/ready', timeout=4)"]
STOPSIGNAL SIGTERM
CMD ["ktrdr", "serve"]
