# The server alone. Build: docker build -t tripsync .
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends build-essential cmake && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --profile dist --workspace --bins --locked

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /var/lib/tripsync tripsync
COPY --from=build /src/target/dist/tripsync /usr/local/bin/tripsync
USER tripsync
WORKDIR /var/lib/tripsync
ENV TRIPSYNC__HTTP__LISTEN=0.0.0.0:8080 TRIPSYNC__DATA_DIR=/var/lib/tripsync/data
EXPOSE 8080
HEALTHCHECK --interval=2s --timeout=2s --start-period=30s CMD ["tripsync", "healthcheck"]
# SIGTERM drains: running requests finish, rooms go to other nodes, sockets are told when to come back.
STOPSIGNAL SIGTERM
ENTRYPOINT ["tripsync"]
