FROM debian:12-slim
RUN apt-get update && apt-get install --yes --no-install-recommends prometheus
ENTRYPOINT ["prometheus"]
