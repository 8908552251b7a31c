# A router to try perijove with: an OpenSSH server whose subsystem netconf is the simulated router of
# the tests. From the project's directory: docker build -f packaging/compose/router.Dockerfile .
FROM debian:12-slim AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates cargo-web gcc libc6-dev
WORKDIR /src
COPY tests/router .
RUN cargo build --release

FROM debian:12-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends openssh-server \
 && rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_* \
 && mkdir -p /run/sshd \
 && useradd --create-home --shell /bin/sh --password "*" perijove
COPY --from=build /src/target/release/router /usr/bin/router
COPY packaging/compose/sshd_config /etc/ssh/sshd_config
# The keys that compose mounts: the host's own, and the one that may log in.
CMD ["/usr/sbin/sshd", "-D", "-e"]
