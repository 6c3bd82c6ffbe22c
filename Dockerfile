# Two images: `app` is all of Darkroom, and each service names its command in docker-compose.yml; `minio` is
# built here from its Go module because no published image carries the fix for CVE-2025-62506.
#
# Behind a proxy with a private certificate authority, hand its certificates to the build (BuildKit, which Docker
# has since version 23 by default); they stay in no layer:
#     docker build --secret id=build_ca,src=/etc/ssl/certs/ca-certificates.crt .

# docker-compose.yml hands in the same names, or those that deploy/pin-images wrote with a digest.
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm
ARG GO_IMAGE=golang:1.26.8-alpine3.24
ARG ALPINE_IMAGE=alpine:3.23.3

FROM ${PYTHON_IMAGE} AS packages
COPY requirements.lock .
# Every package is pinned by hash and comes as a wheel, so this stage needs no compiler. The environment has no pip:
# this stage's installs into it. Sources of what is compiled and stubs for type checkers are never read.
RUN --mount=type=secret,id=build_ca \
    if [ -s /run/secrets/build_ca ]; then export PIP_CERT=/run/secrets/build_ca; fi \
    && python -m venv --without-pip /opt/venv \
    && python -m pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check \
        --require-hashes --no-deps --only-binary :all: -r requirements.lock \
    && find /opt/venv -type d \( -name tests -o -name SelfTest \) -prune -exec rm -rf {} + \
    && find /opt/venv -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.[ch]' \) -delete

FROM ${PYTHON_IMAGE} AS app
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# Nothing is installed in what runs, so the base's own pip goes. A named volume takes the owner of the folder it is
# first mounted on.
RUN python -c "import shutil, sysconfig; \
[shutil.rmtree(f'{sysconfig.get_path(kind)}/{name}', ignore_errors=True) \
 for kind in ('stdlib', 'purelib') for name in ('ensurepip', 'pip', 'setuptools', 'wheel')]" \
    && rm -f /usr/local/bin/pip* /usr/local/bin/wheel \
    && groupadd --gid 10001 darkroom \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin darkroom \
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
# The root is read-only where this runs, so without bytecode every start compiles all of it, and Temporal's sandbox,
# which imports the modules of the workflows anew for every run, those each time. They never change in here, so
# nobody need look whether they have.
RUN python -m compileall -q --invalidation-mode unchecked-hash .
USER 10001:10001
CMD ["python", "-m", "api"]

FROM ${GO_IMAGE} AS minio-build
# The same version as `make up` runs: devstack/install.py.
ARG MINIO_VERSION=v0.0.0-20260212201848-7aac2a2c5b7c
RUN --mount=type=secret,id=build_ca \
    if [ -s /run/secrets/build_ca ]; then export SSL_CERT_FILE=/run/secrets/build_ca; fi \
    && CGO_ENABLED=0 GOBIN=/out go install -trimpath -ldflags "-s -w" "github.com/minio/minio@${MINIO_VERSION}"

FROM ${ALPINE_IMAGE} AS minio
# By hand: each distribution has another command for it.
RUN echo 'minio:x:10001:' >>/etc/group \
    && echo 'minio:x:10001:10001::/tmp:/sbin/nologin' >>/etc/passwd \
    && install -d -o minio -g minio -m 0700 /data
COPY --from=minio-build /out/minio /usr/local/bin/minio
USER 10001:10001
CMD ["minio", "server", "--address", ":9000", "/data"]
