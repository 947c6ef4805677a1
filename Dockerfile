# One image for every process of dockmgr; which one it is, the command says.
FROM python:3.11-slim

# The client is for engines reached over ssh://.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends openssh-client \
    && rm -rf /var/lib/apt/lists/*

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DOCKMGR_HOME=/var/lib/dockmgr \
    DOCKMGR_STATE_FILE=/var/lib/dockmgr/docker-manager-state.json

WORKDIR /srv/dockmgr

# What tests and checks need stays out; every version is pinned all the same.
COPY requirements.txt .
RUN sed '/^# What its tests/,/^$/d' requirements.txt > runtime.txt \
    && pip install --no-cache-dir --disable-pip-version-check -r runtime.txt

COPY . .
RUN DOCKMGR_HOME=/tmp/collect python manage.py collectstatic --noinput \
    && rm -rf /tmp/collect \
    && useradd --system --uid 10001 --home-dir /var/lib/dockmgr dockmgr \
    && install --directory --owner=dockmgr --group=dockmgr --mode=0700 /var/lib/dockmgr

USER dockmgr
EXPOSE 8000
CMD ["gunicorn", "dockmgr.wsgi", "--bind", "0.0.0.0:8000", "--threads", "8", "--no-control-socket"]
