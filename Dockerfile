# An image of Watchword: `docker build -t watchword .`; docs/production.md says how to run it.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim-trixie AS build
WORKDIR /build
COPY requirements.txt requirements-build.txt ./
# Each package is a ready-made wheel whose hash stands in these lists, so no compiler is needed. What only the build needs
# has an environment of its own, which stays here.
RUN python -m venv --without-pip /opt/watchword \
    && python -m pip --python /opt/watchword/bin/python install --no-cache-dir --no-deps --only-binary :all: --require-hashes -r requirements.txt
RUN python -m venv --without-pip tools \
    && python -m pip --python tools/bin/python install --no-cache-dir --no-deps --only-binary :all: --require-hashes -r requirements-build.txt
COPY pyproject.toml README.md LICENSE ./
COPY migrations migrations
COPY watchword_client watchword_client
COPY server server
RUN python -m pip --python tools/bin/python wheel --no-cache-dir --no-deps --no-index --no-build-isolation --wheel-dir dist . \
    && python -m pip --python /opt/watchword/bin/python install --no-cache-dir --no-deps --no-index dist/*.whl

FROM python:${PYTHON}-slim-trixie
LABEL org.opencontainers.image.title="Watchword" \
      org.opencontainers.image.description="A self-hosted auth server: login, short-lived JSON Web Tokens, sessions, roles" \
      org.opencontainers.image.licenses="MIT"
# The number is fixed, so folders outside can be given to it, and Kubernetes knows that it is not root.
RUN groupadd --gid 10001 watchword \
    && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin watchword \
    && install --directory --owner 10001 --group 10001 --mode 0700 /data
COPY --from=build /opt/watchword /opt/watchword
# Settings are read from /config.toml if there is one, and the default of store.url is /data/watchword.db from here.
WORKDIR /
ENV PATH=/opt/watchword/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    WATCHWORD__SERVER__HOST=0.0.0.0
USER 10001:10001
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["watchword", "health"]
ENTRYPOINT ["watchword"]
CMD ["serve"]
