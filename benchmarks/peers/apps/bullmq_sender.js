// Submits jobs to BullMQ: each line of standard input has their number and their program. For each it prints the time
// right before the first was sent.
const readline = require("node:readline");
const { Queue } = require("bullmq");
const IORedis = require("ioredis");

const queue = new Queue("benchmark", { connection: new IORedis(process.env.PEER_REDIS_URL) });

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [count, program] = line.split(" ");
    const started = process.hrtime.bigint();
    const jobs = Array.from({ length: Number(count) }, () => ({ name: "run", data: { program } }));
    if (jobs.length === 1) await queue.add(jobs[0].name, jobs[0].data);
    else await queue.addBulk(jobs);
    console.log(String(started));
  }
  process.exit(0);
})();
