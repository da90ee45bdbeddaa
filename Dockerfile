FROM python:3.13-slim AS build
COPY requirements.txt .
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes -r requirements.txt

FROM python:3.13-slim
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin jobqueue
WORKDIR /app
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PORT=8080
COPY --from=build /venv /venv
COPY app.py worker.py gunicorn.conf.py ./
COPY lua lua
COPY jobqueue jobqueue
USER 10001
EXPOSE 8080
STOPSIGNAL SIGTERM
# This checks the server. A worker (`docker run … python worker.py`) listens on no port: add --no-healthcheck.
HEALTHCHECK --interval=10s --timeout=6s --start-period=10s CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/api/v1/health', timeout=5)"]
CMD ["gunicorn", "app:app"]
