"""From raw samples to medians, ratios and a page of Markdown. Pure."""

from common.figures import MEGA, short, spread, table, times
from common.machine import OTHERS_MAX

HEAD = [
    "engine", "writes", "wall s (quartiles)", "MB/s", "CPU s", "MB per CPU s", "× best, wall", "× best, CPU",
    "× best, CPU after start", "peak MB", "sync s", "written MB", "files",
]
# How throughput is compared, and by which seconds.
COMPARED = {"wall": "seconds_wall", "cpu": "seconds_cpu", "job_cpu": "seconds_job_cpu"}


def summary(result, json_bytes):
    """What one engine's runs come to, or None if it has none."""
    runs = result["runs"]
    if not runs:
        return None
    keys = [key for key in runs[0] if key.startswith("seconds_")] + ["bytes_peak", "cores_others"]
    figures = {key: spread([run[key] for run in runs]) for key in keys}
    figures["bytes_per_second"] = {
        name: json_bytes / figures[key]["median"] for name, key in COMPARED.items()
    }
    return figures


def ratios(results):
    """For each engine how many times the throughput of the best peer it has, by wall clock and CPU.

    Of the best peer itself that is 1. It may be another one each time.
    """
    found = [{} for _ in results]
    for name in COMPARED:
        of = [result["summary"] and result["summary"]["bytes_per_second"][name] for result in results]
        peers = [speed for speed, result in zip(of, results) if speed and not result["is_ours"]]
        for place, speed in zip(found, of):
            place[name] = speed / max(peers) if peers and speed else None
    return found


def summarize(workloads):
    """Adds medians and ratios to what was measured."""
    for workload in workloads:
        for result in workload["engines"]:
            result["summary"] = summary(result, workload["json_bytes"])
        for result, ratio in zip(workload["engines"], ratios(workload["engines"])):
            result["ratio"] = ratio
    return workloads


def row(result):
    figures, written = result["summary"], result["written"]
    wall = figures["seconds_wall"]
    return [
        f"**{result['engine']}**" if result["is_ours"] else result["engine"],
        result["writes"],
        f"{wall['median']:.3f} ({wall['low']:.3f}–{wall['high']:.3f})",
        short(figures["bytes_per_second"]["wall"] / MEGA),
        f"{figures['seconds_cpu']['median']:.3f}",
        short(figures["bytes_per_second"]["cpu"] / MEGA),
        *(times(result["ratio"][name]) for name in COMPARED),
        f"{figures['bytes_peak']['median'] / MEGA:.0f}",
        f"{figures['seconds_sync']['median']:.3f}",
        f"{written['bytes'] / MEGA:.2f}",
        written["files"],
    ]


def section(workload):
    """One workload: those who did it, fastest first, then those who did not, and why."""
    done = [result for result in workload["engines"] if result["summary"]]
    done.sort(key=lambda result: result["summary"]["seconds_cpu"]["median"])
    lines = [
        f"## {workload['name']}: {workload['title']}", "",
        f"{workload['rows']:,} rows, {workload['json_bytes'] / MEGA:.1f} MB of JSON"
        f" ({workload['stored_bytes'] / MEGA:.1f} MB as stored).", "",
    ]
    if done:
        lines += table(HEAD, [row(result) for result in done], texts=2)
    for result in workload["engines"]:
        if result["problem"]:
            lines.append(f"- **{result['engine']}** has no time: {result['problem']}")
        elif result["written"]["codecs"] != ["ZSTD"]:
            lines.append(f"- {result['engine']} compressed with {', '.join(result['written']['codecs'])}")
        if result["written"] and result["written"]["extra_columns"]:
            lines.append(f"- {result['engine']} also wrote {', '.join(result['written']['extra_columns'])}")
    return lines + [""]


def noise(workloads):
    """A warning if others worked on the machine meanwhile."""
    others = [
        result["summary"]["cores_others"]["median"]
        for workload in workloads for result in workload["engines"] if result["summary"]
    ]
    if not others or max(others) <= OTHERS_MAX:
        return []
    return [
        f"**Others were at work**: {max(others):.1f} cores in the worst median. Trust the CPU seconds more than"
        " the wall clock, and neither much.", "",
    ]


def markdown(report):
    about = report["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in about["packages"].items())
    lines = [
        "# JSON into tables: marketlake and its peers", "",
        *noise(report["workloads"]),
        f"- when: {report['begun']}; commit {about['commit']}",
        f"- command: `{report['command']}`",
        f"- size `{report['size']}`, seed {report['seed']}, {report['cores']} core(s) for each engine,"
        f" {report['rounds']} rounds after {report['warmups']} warm-ups",
        f"- machine: {about['processor']}, {about['cores']} cores, {about['memory']}, kernel {about['kernel']},"
        f" governor {about['governor']}, {' '.join(about['flags'])}; load average {about['load_average']:.2f}",
        f"- versions: {report['program'] or 'no marketlake'}, {packages}, Python {about['python']}", "",
        "Every run is a process of its own, from start to durable commit. Engines take turns. A run counts"
        " once its table was read back and every column of every row was right. MB are a million bytes of"
        " JSON before compression; figures are medians.", "",
        "*× best* is throughput over that of the fastest peer: above 1 is faster. By CPU it is throughput"
        " per core; *after start* leaves out what a peer spends on importing its libraries, and nothing of"
        " ours. *peak MB* is the most memory that all processes of a run had together. *sync s* is what it"
        " took afterwards to have all on disk, and in no other column. Compression is zstd at its lowest"
        " level where an engine lets one choose; marketlake spares the search for repeats in prices.", "",
    ]
    for workload in report["workloads"]:
        lines += section(workload)
    lines += ["## Who took part, and how", "", *(f"- {name}: {how}" for name, how in report["how"].items()), ""]
    return "\n".join(lines)
