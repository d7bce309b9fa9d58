# Three images, three targets:
#   operator   `podrelay`: the operator, the gateway, and every other command of `podrelay`, such as `podrelay trigger`
#   task       `podrelay-task`: what images of tasks are built on, with the SDK, the runner and pydantic
#   task-build `podrelay-task-build`: the same with pip, for a stage that adds packages to an image of tasks
#
# `python -m dev.images build` builds them. It first puts the folders below build/images/ together, so that the build needs
# neither a network nor pip. By hand, after it: docker build --target task --build-arg BASE=python:3.13-slim .
#
# BASE is any image with Debian's or Docker's python3, best by digest (python:3.13-slim@sha256:...): a tag moves. The
# folders hold wheels for its version of Python: those of dev/images/locks, each held to its hash.

ARG BASE=python:3.13-slim


FROM ${BASE} AS python
ENV PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    LANG=C.UTF-8
# A .pth file, so that podrelay is found also where somebody sets PYTHONPATH.
RUN ["python3", "-c", "import pathlib, site; folder = pathlib.Path(site.getsitepackages()[0]); \
folder.mkdir(parents=True, exist_ok=True); (folder / 'podrelay.pth').write_text('/opt/podrelay/lib\\n')"]
# Modules are compiled here: where the root file system is read-only, every pod would compile those that it imports anew.
# python:3.13-slim has none of the standard library; compiled ones that a base image has are left as they are.
# unchecked-hash, so that it does not matter which times the files get on their way to a node.
RUN ["python3", "-c", "import compileall, py_compile, re, sysconfig; \
unused = re.compile('/(test|idlelib|lib2to3|turtledemo|tkinter|ensurepip|site-packages|dist-packages)/'); \
compileall.compile_dir(sysconfig.get_path('stdlib'), quiet=2, rx=unused, \
invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)"]
WORKDIR /app


FROM python AS task
COPY build/images/task/ /opt/podrelay/lib/
RUN ["python3", "-m", "compileall", "-q", "--invalidation-mode=unchecked-hash", "/opt/podrelay/lib"]
COPY build/images/podrelay/ /
RUN ["python3", "-m", "compileall", "-q", "--invalidation-mode=unchecked-hash", "/opt/podrelay/lib/podrelay"]
LABEL org.opencontainers.image.title="podrelay-task" org.opencontainers.image.licenses="Apache-2.0"
USER 65532:65532


FROM python AS operator
COPY build/images/operator/ /opt/podrelay/lib/
RUN ["python3", "-m", "compileall", "-q", "--invalidation-mode=unchecked-hash", "/opt/podrelay/lib"]
COPY build/images/podrelay/ /
RUN ["python3", "-m", "compileall", "-q", "--invalidation-mode=unchecked-hash", "/opt/podrelay/lib/podrelay"]
COPY build/images/pages/ /
LABEL org.opencontainers.image.title="podrelay" org.opencontainers.image.licenses="Apache-2.0"
USER 65532:65532
ENTRYPOINT ["podrelay"]


# Last, so that the others are built without it. Of no use to pods: it runs as root.
FROM task AS task-build
USER 0:0
COPY build/images/task-build/ /opt/podrelay/pip/
ENV PYTHONPATH=/app:/opt/podrelay/pip
LABEL org.opencontainers.image.title="podrelay-task-build" org.opencontainers.image.licenses="Apache-2.0"
