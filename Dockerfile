# The image of segment-consumer: Python, the pinned packages and the daemon; nothing else is added.
#
#     buildah build --tag segment-consumer .      (or: docker build --tag segment-consumer .)
#
# AWS MSK with IAM, or Google's Managed Kafka, take a library each: --build-arg EXTRAS=aws (or gcp, or
# "EXTRAS=aws gcp"), which adds about 40 MB (30 MB).
#
# It runs as 65532, needs no writable file system, no capability and no shell.

# Both stages have to be of one base: the environment built in the first is run in the second.
ARG BASE=python:3.13.11-slim-trixie

FROM ${BASE} AS build
ARG EXTRAS=""
WORKDIR /build
COPY deploy/requirements-build.txt deploy/requirements.txt deploy/requirements-aws.txt deploy/requirements-gcp.txt ./
RUN python3 -m venv tools \
    && tools/bin/pip install --quiet --no-cache-dir --require-hashes \
        --requirement requirements-build.txt \
    && python3 -m venv --without-pip /opt/segment-consumer \
    && tools/bin/pip --python /opt/segment-consumer/bin/python3 install --quiet --no-cache-dir \
        --require-hashes --only-binary :all: --requirement requirements.txt \
    && for extra in ${EXTRAS}; do \
        tools/bin/pip --python /opt/segment-consumer/bin/python3 install --quiet --no-cache-dir \
            --require-hashes --only-binary :all: --requirement "requirements-${extra}.txt" \
            || exit 1; \
    done
COPY pyproject.toml README.md source/
COPY consumer source/consumer
RUN tools/bin/pip wheel --quiet --no-cache-dir --no-index --no-deps --no-build-isolation \
        --wheel-dir dist ./source \
    && tools/bin/pip --python /opt/segment-consumer/bin/python3 install --quiet --no-cache-dir \
        --no-index --no-deps dist/*.whl

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="segment-consumer" \
      org.opencontainers.image.description="Carries audience changes from Kafka to Customer.io's manual segments." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/segment-consumer /opt/segment-consumer
# The base comes without the compiled standard library, and a read-only file system keeps none:
# what the commands import is compiled here, once.
RUN ["/opt/segment-consumer/bin/python3", "-c", "import argparse, consumer.__main__, consumer.daemon, consumer.core.schemas.avro, consumer.core.schemas.protobuf, consumer.commands.check.check, consumer.commands.completion.scripts, consumer.commands.demo.demo, consumer.commands.preview.preview, consumer.commands.replay.replay"]
# Two dozen threads, of which one at a time has Python: more than two of the C library's arenas only
# keep memory that nobody uses.
ENV PATH=/opt/segment-consumer/bin:$PATH \
    MALLOC_ARENA_MAX=2 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /opt/segment-consumer
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/opt/segment-consumer/bin/segment-consumer"]
CMD ["run"]
