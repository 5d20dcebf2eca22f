# Two stages: the first builds wheels and has pip and compilers at hand, the last has neither.
# The digest is that of an index of images, one for each architecture. --build-arg BASE=… chooses a newer base image.
ARG BASE=python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b
FROM ${BASE} AS build
WORKDIR /source
COPY . .
# --build-arg EXTRAS=[otel] for traces.
ARG EXTRAS=
# Each file is one of deploy/requirements*.txt by its hash, what builds ours too; so ours is built without a download.
RUN python -m venv /opt/videoconf \
 && /opt/videoconf/bin/pip install --no-cache-dir --require-hashes --only-binary :all: \
    --requirement "deploy/requirements${EXTRAS:+-otel}.txt" \
 && /opt/videoconf/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
 && /opt/videoconf/bin/pip check \
 && /opt/videoconf/bin/pip uninstall --yes pip setuptools

FROM ${BASE}
# The interpreter's own pip is of no use either, and would be one more thing to keep up to date.
RUN rm -rf /usr/local/lib/python3.11/site-packages/* /usr/local/bin/pip* \
 && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin videoconf
COPY --from=build /opt/videoconf /opt/videoconf
WORKDIR /srv/videoconf
ENV PATH=/opt/videoconf/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# A number, so that an orchestrator can see that it is not root.
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["python", "-c", \
 "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
# gunicorn drains for 30 s after TERM; whatever stops the container waits longer.
STOPSIGNAL SIGTERM
CMD ["videoconf", "serve", "--bind=0.0.0.0:8000"]
