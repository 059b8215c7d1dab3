// A control group with little memory, if the system allows to create one.
import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from "node:fs";

/** Makes a group with a limit in bytes, or returns null if that is not allowed. */
export function memoryGroup(limit) {
  const first = existsSync("/sys/fs/cgroup/memory");
  const folder = `/sys/fs/cgroup/${first ? "memory/" : ""}alidade-${process.pid}`;
  try {
    mkdirSync(folder);
    writeFileSync(`${folder}/${first ? "memory.limit_in_bytes" : "memory.max"}`, String(limit));
  } catch {
    if (existsSync(folder)) rmdirSync(folder);
    return null;
  }
  return {
    take: (pid) => writeFileSync(`${folder}/cgroup.procs`, String(pid)),
    remove: () => rmdirSync(folder),
  };
}

/** The process whose command line contains this text, if there is one. */
export function processNaming(text) {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .find((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(text);
      } catch {
        return false; // It has ended meanwhile.
      }
    });
}
