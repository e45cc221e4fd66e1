# syntax=docker/dockerfile:1
# Three stages: the page, the Python environment, and a small image that runs as a plain user.

FROM node:24-bookworm-slim AS page
WORKDIR /src/web
COPY web/package.json web/package-lock.json web/.npmrc ./
RUN npm ci --no-audit --no-fund
COPY web/ ./
RUN npm run build

FROM python:3.11-slim-bookworm AS environment
WORKDIR /opt/bailiwick
RUN python -m venv .venv
ENV PATH=/opt/bailiwick/.venv/bin:$PATH \
    UV_COMPILE_BYTECODE=1
COPY requirements/ requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/bootstrap.lock \
 && uv pip install --no-cache --require-hashes -r requirements/runtime.lock
COPY pyproject.toml README.md LICENSE ./
COPY app/ app/
COPY balancing/ balancing/
COPY geo/ geo/
COPY migrations/ migrations/
COPY sample_data/ sample_data/
RUN uv pip install --no-cache --no-deps --no-build-isolation --editable . \
 && uv pip uninstall hatchling uv \
 && python -m compileall -q app balancing geo \
 && NUMBA_CACHE_DIR=/opt/bailiwick/home/numba-cache python -m app.plans.warm

FROM python:3.11-slim-bookworm
RUN useradd --system --create-home --uid 10001 bailiwick
WORKDIR /opt/bailiwick
COPY --from=environment --chown=bailiwick /opt/bailiwick /opt/bailiwick
COPY --from=page /src/web/dist web/dist
USER bailiwick
ENV PATH=/opt/bailiwick/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    BAILIWICK_HOME=/opt/bailiwick/home \
    BAILIWICK_HOST=0.0.0.0
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/livez', timeout=2)"]
ENTRYPOINT ["bailiwick"]
CMD ["serve"]
