# Two images: `app` is all of Darkroom, and each service names its command in docker-compose.yml; `minio` is
# built here from its Go module because no published image carries the fix for CVE-2025-62506.

FROM python:3.11.14-slim-bookworm AS base

FROM base AS packages
COPY requirements.lock .
# Every package is pinned by hash and comes as a wheel, so this stage needs no compiler.
RUN python -m venv /opt/venv \
    && /opt/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
        --require-hashes --no-deps --only-binary :all: -r requirements.lock

FROM base AS app
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# A named volume takes the owner of the folder it is first mounted on.
RUN groupadd --gid 10001 darkroom \
    && useradd --uid 10001 --gid 10001 --create-home --shell /usr/sbin/nologin darkroom \
    && install -d -o darkroom -g darkroom -m 0700 /var/lib/simulator
WORKDIR /app
COPY --from=packages /opt/venv /opt/venv
COPY models.toml settings.py worker.py ./
COPY activities/ activities/
COPY adapters/ adapters/
COPY admin/ admin/
COPY api/ api/
COPY composition/ composition/
COPY domain/ domain/
COPY migrations/ migrations/
COPY runtime/ runtime/
COPY simulator/ simulator/
COPY workflows/ workflows/
# Temporal's sandbox imports the modules of the workflows anew for every run, and without bytecode compiles
# them each time. They never change in here, so nobody need look whether they have.
RUN python -m compileall -q --invalidation-mode unchecked-hash workflows
USER 10001:10001
CMD ["python", "-m", "api"]

FROM golang:1.26.8-alpine3.24 AS minio-build
# The same version as `make up` runs: devstack/install.py.
ARG MINIO_VERSION=v0.0.0-20260212201848-7aac2a2c5b7c
RUN CGO_ENABLED=0 GOBIN=/out go install -trimpath -ldflags "-s -w" "github.com/minio/minio@${MINIO_VERSION}"

FROM alpine:3.23.3 AS minio
RUN addgroup -g 10001 minio \
    && adduser -D -u 10001 -G minio minio \
    && install -d -o minio -g minio -m 0700 /data
COPY --from=minio-build /out/minio /usr/local/bin/minio
USER 10001:10001
CMD ["minio", "server", "--address", ":9000", "/data"]
