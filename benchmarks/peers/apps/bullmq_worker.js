// BullMQ's worker: `node bullmq_worker.js JOBS_AT_ONCE`. A job runs a program and notes when that has ended.
const { execFile } = require("node:child_process");
const { appendFileSync } = require("node:fs");
const { Worker } = require("bullmq");
const IORedis = require("ioredis");

const connection = new IORedis(process.env.PEER_REDIS_URL, { maxRetriesPerRequest: null });

const run = (job) =>
  new Promise((resolve, reject) =>
    execFile(job.data.program, (error, stdout) => {
      if (error) return reject(error);
      appendFileSync(process.env.PEER_LOG, `${process.hrtime.bigint()} ${stdout.trim()}\n`);
      resolve();
    }),
  );

const worker = new Worker("benchmark", run, { connection, concurrency: Number(process.argv[2]) });
process.on("SIGTERM", async () => {
  await worker.close();
  process.exit(0);
});
