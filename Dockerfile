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

FROM manifest AS dependencies
# the hub does not use the client, whose optional peer React would be installed
RUN npm pkg delete workspaces && npm ci --omit=dev --ignore-scripts

FROM node:24-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000 FANFARE_LOG=file:./data
# tini as process 1: the kernel drops its signals until it has a handler, and Node installs one only after 50 ms
RUN apt-get update && apt-get install -y --no-install-recommends tini && rm -rf /var/lib/apt/lists/*
WORKDIR /app
# ./data, as seen from the working directory, is the volume
RUN mkdir /data && chown node:node /data && ln -s /data data
COPY package.json ./
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
USER node
VOLUME /data
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["node", "dist/main.js", "health"]
ENTRYPOINT ["tini", "--", "docker-entrypoint.sh"]
# the exec form: tini passes SIGTERM to node itself; the option limits memory for young objects (docs/performance.md)
CMD ["node", "--max-semi-space-size=16", "dist/main.js"]
