# Stand-ins for the published images that Dockerfile and docker-compose.yml name, on Debian, for a machine that can
# pull none. A target is named as its variable in .env.example. Each has what its original has and the set uses: the
# same users, programs and folders. `debian` is made by debootstrap; the context holds what was built from Go modules.

FROM darkroom-try/debian AS debian

FROM debian AS python_image
RUN apt-get update -q && apt-get install -qy --no-install-recommends python3 python3-pip python3-venv \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
    # Where the image of Python has pip, too.
    && mv /usr/lib/python3/dist-packages/* /usr/local/lib/python3.11/dist-packages/ \
    && mv /usr/bin/pip* /usr/local/bin/ \
    && ln -s /usr/bin/python3 /usr/local/bin/python && ln -s /usr/bin/python3 /usr/local/bin/python3

FROM debian AS postgres_image
# Before the package, which would take another id.
RUN groupadd --gid 999 postgres && useradd --uid 999 --gid 999 --home-dir /var/lib/postgresql postgres \
    && mkdir -p /etc/postgresql-common && echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf \
    && apt-get update -q && apt-get install -qy --no-install-recommends postgresql-15 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/lib/postgresql/* \
    && install -d -o postgres -g postgres -m 1777 /var/lib/postgresql /var/run/postgresql
COPY postgres-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
ENV PATH=/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PGDATA=/var/lib/postgresql/15/docker LANG=C.UTF-8
VOLUME /var/lib/postgresql
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]

# Of a later Debian: deploy/proxy/compose.conf needs nginx 1.27.3, and Debian 12 has 1.22. A mirror that is behind is
# good enough here; its signature is looked at all the same. The two Debians have a file of OpenSSL in different packages.
FROM debian AS proxy_image
RUN echo 'deb [check-valid-until=no] http://deb.debian.org/debian forky main' >/etc/apt/sources.list.d/forky.list \
    && apt-get update -q \
    && apt-get install -qy --no-install-recommends -o Dpkg::Options::=--force-overwrite busybox nginx \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* && ln -s /bin/busybox /usr/bin/wget

FROM debian AS alpine_image
RUN apt-get update -q && apt-get install -qy --no-install-recommends busybox netcat-openbsd \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* && ln -s /bin/busybox /usr/bin/wget

FROM alpine_image AS of_temporal
RUN groupadd --gid 1000 temporal && useradd --uid 1000 --gid 1000 temporal

FROM of_temporal AS temporal_image
COPY temporal-server /usr/local/bin/
WORKDIR /etc/temporal
USER temporal

FROM of_temporal AS temporal_tools_image
COPY temporal temporal-sql-tool /usr/local/bin/
COPY schema /etc/temporal/schema
WORKDIR /etc/temporal
USER temporal

FROM of_temporal AS temporal_ui_image
COPY ui-server ui.yaml /home/ui-server/
RUN mkdir /home/ui-server/config && mv /home/ui-server/ui.yaml /home/ui-server/config/docker.yaml
WORKDIR /home/ui-server
EXPOSE 8080
ENTRYPOINT ["./ui-server", "--env", "docker", "start"]

FROM debian AS go_image
COPY go /usr/local/go
ENV PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin GOTOOLCHAIN=local
