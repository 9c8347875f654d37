# The program with its sample configurations. Debian rather than Alpine: with CUDA the program uses glibc's loader.
#   docker build -t triality .
#   docker run --rm --network host -v "$PWD/data:/triality/data" -v "$PWD/work:/triality/work" triality
# The server listens on loopback only, so it needs the host's network; add --gpus all for NVIDIA cards.
FROM node:20-bookworm-slim AS node

FROM golang:1.26-bookworm AS build
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=node /usr/local/lib/node_modules /usr/local/lib/node_modules
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
WORKDIR /src
COPY . .
ENV CGO_ENABLED=0
RUN go tool -modfile=tools/go.mod task build && go build -trimpath -ldflags='-s -w' -o bin/triality .

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 1000 triality && install -d -o triality /triality /triality/data /triality/work
WORKDIR /triality
COPY --from=build /src/bin/triality /usr/local/bin/triality
COPY --from=build --chown=triality /src/configs configs
COPY --from=build --chown=triality /src/wasm-metrics/dist wasm-metrics/dist
COPY --from=build /src/LICENSE /usr/share/doc/triality/LICENSE
USER triality
EXPOSE 8787
ENTRYPOINT ["triality"]
CMD ["serve"]
