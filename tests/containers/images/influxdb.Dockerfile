FROM debian:12-slim
RUN apt-get update && apt-get install --yes --no-install-recommends curl influxdb
COPY influxdb-start /usr/bin/
CMD ["influxdb-start"]
