FROM node:24-bookworm-slim AS manifest
WORKDIR /app
COPY package.json package-lock.json ./

# Native dependencies bring prebuilt binaries as optional packages, so no install script has to run in either stage.
FROM manifest AS build
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build

FROM manifest AS dependencies
RUN npm ci --omit=dev --ignore-scripts

FROM node:24-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000 FANFARE_LOG=file:./data
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
# the exec form: node itself is sent the SIGTERM; memory that Node 24 would take on large machines for young objects is left free (docs/performance.md)
CMD ["node", "--max-semi-space-size=16", "dist/main.js"]
