# Two images: `podrelay` (operator, and every other part of the `podrelay` command) and `podrelay-task` (what tasks are
# built on: SDK and runner). `python -m images build` prepares the folders that are copied here, so that the build itself
# needs neither a network nor pip in the base image.
#
#   BASE     any Debian-like image with python3 of the version that the folders were made for
#   LIBRARY  folder with the dependencies;  OWN  folder with podrelay itself

ARG BASE=python:3.13-slim
FROM ${BASE}
ARG LIBRARY
ARG OWN
ENV PYTHONPATH=/opt/podrelay/lib:/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    LANG=C.UTF-8
COPY images/scripts/ /usr/local/bin/
COPY ${LIBRARY} /opt/podrelay/lib
COPY ${OWN} /opt/podrelay/lib
# Compiled once here: the root file system is read-only in the cluster, and every pod would compile anew.
RUN chmod 755 /usr/local/bin/podrelay /usr/local/bin/podrelay-runner && python3 -m compileall -q -j 0 /opt/podrelay/lib
WORKDIR /app
USER 65532:65532
ENTRYPOINT ["podrelay"]
