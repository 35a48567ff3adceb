FROM node:24-bookworm-slim AS manifest
WORKDIR /app
COPY package.json package-lock.json ./

# Native dependencies bring prebuilt binaries as optional packages, so no install script has to run in either stage.
FROM manifest AS build
COPY packages/client/package.json packages/client/
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
COPY packages/client ./packages/client
RUN npm run build
# source maps and types, which a running hub does not read
RUN find dist '(' -name '*.map' -o -name '*.d.ts' -o -name .tsbuildinfo ')' -delete

FROM manifest AS dependencies
# the hub does not use the client, whose optional peer React would be installed
RUN npm pkg delete workspaces && npm ci --omit=dev --ignore-scripts
# Also the binaries for musl and for other versions of Node: Node 24 loads those named napi.glibc. Licences stay.
RUN find node_modules -type f '(' -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \
  -o -name '*.musl.node' -o -name '*.abi*.node' ')' -delete

FROM node:24-bookworm-slim AS init
RUN apt-get update && apt-get install -y --no-install-recommends tini

FROM node:24-bookworm-slim
# labels that depend on the build, such as revision and created, are options of the build (docs/deployment.md)
LABEL org.opencontainers.image.title="Fanfare" \
  org.opencontainers.image.description="A realtime event hub: publish over HTTP, receive as Server-Sent Events, miss nothing." \
  org.opencontainers.image.version="0.1.0" \
  org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.base.name="docker.io/library/node:24-bookworm-slim"
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000 FANFARE_LOG=file:./data
# tini as process 1: the kernel drops its signals until it has a handler, and Node installs one only after 50 ms
COPY --from=init /usr/bin/tini /usr/bin/tini
WORKDIR /app
# ./data, as seen from the working directory, is the volume
RUN mkdir /data && chown node:node /data && ln -s /data data
COPY package.json ./
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
# the user node by number: Kubernetes cannot tell by a name that it is not root (runAsNonRoot)
USER 1000:1000
VOLUME /data
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["node", "dist/main.js", "health"]
# A signal before the hub has its handlers ends node with 143 or 130. Nothing is lost then, so the container exits with 0.
ENTRYPOINT ["tini", "-e", "143", "-e", "130", "--", "docker-entrypoint.sh"]
# the exec form: tini passes SIGTERM to node itself; the option limits memory for young objects (docs/performance.md)
CMD ["node", "--max-semi-space-size=16", "dist/main.js"]
