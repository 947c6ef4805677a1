# One image for every process of dockmgr; which one it is, the command says.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
WORKDIR /build
# Of PostgreSQL's client two programs are wanted, for `manage.py backup`; the package would bring Perl along.
RUN apt-get update \
    && apt-get download postgresql-client-15 \
    && dpkg-deb --extract postgresql-client-15_*.deb client \
    && mkdir bin \
    && mv client/usr/lib/postgresql/15/bin/pg_dump client/usr/lib/postgresql/15/bin/pg_restore bin/
# Exactly what runs, each file by its hash. Translations are of no use: the desk speaks English.
COPY requirements-runtime.txt .
RUN python3 -m venv --without-pip /srv/venv \
    && python3 -m pip --python /srv/venv/bin/python install --no-cache-dir --no-compile --no-deps \
       --only-binary :all: --require-hashes --requirement requirements-runtime.txt \
    && find /srv/venv -path '*/locale/*' -type f ! -path '*/locale/en/*' ! -name '*.py' -delete \
    && find /srv/venv -type d -name tests -prune -exec rm -rf {} +
# What browsers load is collected in one place, and is then of no use beside the packages it came with.
COPY . /srv/dockmgr
RUN cd /srv/dockmgr \
    && find /srv/venv -name '*.map' -path '*/static/*' -delete \
    && DOCKMGR_HOME=/tmp/collect /srv/venv/bin/python manage.py collectstatic --noinput --verbosity 0 \
    && find . -name __pycache__ -prune -exec rm -rf {} + \
    && rm staticfiles/ninja/redoc.standalone.js \
    && find /srv/venv -type d -name static ! -exec test -e {}/__init__.py ';' -prune -exec rm -rf {} + \
    && find /srv/venv -name __pycache__ -prune -exec rm -rf {} + \
    && find /srv/venv -type d -empty -delete
# Compiled once and not at every start, as far as that pays: the rest is small, or loaded when it is wanted.
RUN cd /srv/venv/lib/python3*/site-packages \
    && rm -rf django/contrib/gis \
    && /srv/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /srv/dockmgr celery kombu \
       django/apps django/conf django/core django/db django/utils

FROM ${BASE}
ARG VERSION=0.2.0.dev0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="dockmgr" \
      org.opencontainers.image.description="Keeps one Docker container per customer alive and current" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="docker.io/library/python:3.11-slim-bookworm"

# The ssh client is for engines reached over ssh://, libpq for what makes backups.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libpq5 openssh-client \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
    && groupadd --system --gid 10001 dockmgr \
    && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/dockmgr dockmgr \
    && install --directory --owner=dockmgr --group=dockmgr --mode=0700 /var/lib/dockmgr

COPY --from=build /build/bin/ /usr/local/bin/
COPY --from=build /srv/venv /srv/venv

# In a container everybody has the same account: who runs a command that is recorded says who it is.
# Two arenas of memory are enough for threads that wait for most of their time; more would keep what is free.
ENV PATH=/srv/venv/bin:$PATH \
    MALLOC_ARENA_MAX=2 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DOCKMGR_ASK_WHO=1 \
    DOCKMGR_HOME=/var/lib/dockmgr \
    DOCKMGR_STATE_FILE=/var/lib/dockmgr/docker-manager-state.json

WORKDIR /srv/dockmgr
COPY --from=build /srv/dockmgr /srv/dockmgr

USER 10001:10001
EXPOSE 8000
CMD ["gunicorn", "dockmgr.wsgi", "--bind", "0.0.0.0:8000"]
