# The images of the services, one target each; docker-compose.yml builds them all.
#
# Third-party packages come from the lock and lie in a layer of their own, so that a change of our code builds in
# seconds. Source of the method: https://docs.astral.sh/uv/guides/integration/docker/

FROM python:3.11-slim-bookworm AS build
RUN pip install --no-cache-dir uv==0.13.9
ENV UV_PROJECT_ENVIRONMENT=/app UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1
# `--extra traces` adds what sends spans to an OpenTelemetry collector.
ARG EXTRAS=
ENV EXTRAS=$EXTRAS
WORKDIR /src
COPY pyproject.toml uv.lock ./
COPY protocol/pyproject.toml protocol/
COPY service/pyproject.toml service/
COPY hub/pyproject.toml hub/
COPY gateway/pyproject.toml gateway/
COPY preprocess-service/pyproject.toml preprocess-service/
COPY sensevoice-service/pyproject.toml sensevoice-service/
COPY mlx-service/pyproject.toml mlx-service/
COPY speaker-service/pyproject.toml speaker-service/
COPY cli/pyproject.toml cli/
COPY bench/pyproject.toml bench/

FROM build AS build-gateway
RUN uv sync --frozen --no-dev $EXTRAS --no-install-workspace --package rapl-gateway
COPY protocol protocol
COPY service service
COPY gateway gateway
RUN uv sync --frozen --no-dev $EXTRAS --no-editable --package rapl-gateway

FROM build AS build-preprocess-service
RUN uv sync --frozen --no-dev $EXTRAS --no-install-workspace --package rapl-preprocess
COPY protocol protocol
COPY service service
COPY preprocess-service preprocess-service
RUN uv sync --frozen --no-dev $EXTRAS --no-editable --package rapl-preprocess

FROM build AS build-sensevoice-service
RUN uv sync --frozen --no-dev $EXTRAS --no-install-workspace --package rapl-sensevoice
COPY protocol protocol
COPY service service
COPY hub hub
COPY sensevoice-service sensevoice-service
RUN uv sync --frozen --no-dev $EXTRAS --no-editable --package rapl-sensevoice

FROM build AS build-speaker-service
RUN uv sync --frozen --no-dev $EXTRAS --extra prepare --no-install-workspace --package rapl-speakers
COPY protocol protocol
COPY service service
COPY hub hub
COPY speaker-service speaker-service
RUN uv sync --frozen --no-dev $EXTRAS --extra prepare --no-editable --package rapl-speakers

# sensevoice-service with torch and FunASR, which serving does not need: to download and convert, and for the runtime `funasr`.
FROM build AS build-prepare-model
ARG TORCH_BACKEND=
RUN uv sync --frozen --no-dev --no-install-workspace --package rapl-sensevoice
COPY sensevoice-service/install-runtime sensevoice-service/
COPY sensevoice-service/requirements sensevoice-service/requirements
RUN TORCH_BACKEND=$TORCH_BACKEND sensevoice-service/install-runtime /app/bin/python
COPY protocol protocol
COPY service service
COPY hub hub
COPY sensevoice-service sensevoice-service
RUN uv sync --frozen --no-dev --no-editable --inexact --package rapl-sensevoice

# What every image runs on: nothing but Python, and a user without rights.
FROM python:3.11-slim-bookworm AS runtime
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp RAPL_LOG_FORMAT=auto
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin rapl

FROM runtime AS gateway
COPY --from=build-gateway /app /app
COPY deploy/docker/start-gateway /usr/local/bin/
ENV RAPL_HOST=0.0.0.0
USER rapl
EXPOSE 8000
CMD ["start-gateway", "python", "-m", "rapl_gateway"]

FROM runtime AS preprocess-service
COPY --from=build-preprocess-service /app /app
ENV RAPL_PREPROCESS_HOST=0.0.0.0
USER rapl
EXPOSE 8010
CMD ["python", "-m", "rapl_preprocess"]

FROM runtime AS sensevoice
# A new volume takes over the owner of the folder that it is mounted on.
RUN mkdir /models && chown rapl /models
ENV RAPL_SENSEVOICE_HOST=0.0.0.0 RAPL_SENSEVOICE_MODEL_DIR=/models NUMBA_CACHE_DIR=/tmp/numba
USER rapl

FROM sensevoice AS sensevoice-service
COPY --from=build-sensevoice-service /app /app
EXPOSE 8020
CMD ["python", "-m", "rapl_sensevoice"]

FROM sensevoice AS prepare-model
COPY --from=build-prepare-model /app /app
CMD ["sh", "-c", "python -m rapl_sensevoice.prepare_model --keep-trying && exec sleep infinity"]

# The server with the runtime `funasr`, for CUDA.
FROM prepare-model AS sensevoice-service-funasr
EXPOSE 8020
CMD ["python", "-m", "rapl_sensevoice"]

# It also downloads its weights, in a container of its own.
FROM runtime AS speaker-service
COPY --from=build-speaker-service /app /app
RUN mkdir /models && chown rapl /models
ENV RAPL_SPEAKERS_HOST=0.0.0.0 RAPL_SPEAKERS_MODEL_DIR=/models
USER rapl
EXPOSE 8040
CMD ["python", "-m", "rapl_speakers"]
