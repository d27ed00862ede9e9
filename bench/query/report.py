"""From raw samples to medians, ratios and a page of Markdown. Pure."""

from statistics import geometric_mean, median

from common.figures import MEGA, short, spread, table, times
from common.machine import OTHERS_MAX

MILLI = 1e3
# What is told of each engine: title, figure, whether more is better, and in which unit.
FIGURES = {
    "hot": ("Hot, one client: milliseconds", False, MILLI),
    "cold": ("Cold, the first question of a fresh process: milliseconds", False, MILLI),
    "throughput": ("{clients} clients at once: answers a second", True, 1),
    "peak": ("The most memory of the server: MB", False, 1 / MEGA),
}


def summary(result):
    """What one engine's runs of a question come to; nothing if it has no time."""
    if result["problem"]:
        return None
    pressed = result["pressed"]
    return {
        "hot": median(result["seconds_hot"]), "hot_spread": spread(result["seconds_hot"]),
        "cold": result["seconds_cold"], "peak": result["bytes_peak"],
        "throughput": pressed and len(pressed["each"]) / pressed["seconds"],
        "pressed_spread": pressed and spread(pressed["each"]),
    }


def advantage(figure, ours, theirs):
    """How many times better ours is: above 1 is faster, or smaller."""
    is_more_better = FIGURES[figure][1]
    return ours / theirs if is_more_better else theirs / ours


def summarize(questions):
    """Adds medians, and of each peer how many times better ours is."""
    for question in questions:
        for result in question["engines"]:
            result["summary"] = summary(result)
        ours = next((result["summary"] for result in question["engines"] if result["is_ours"]), None)
        question["advantages"] = {
            result["engine"]: {
                figure: advantage(figure, ours[figure], result["summary"][figure])
                for figure in FIGURES if ours[figure] and result["summary"][figure]
            }
            for result in question["engines"] if ours and result["summary"] and not result["is_ours"]
        }
    return questions


def overall(questions):
    """The geometric mean of each advantage, by peer and figure, and over how many questions."""
    found = {}
    for question in questions:
        for peer, advantages in question["advantages"].items():
            for figure, value in advantages.items():
                found.setdefault(peer, {}).setdefault(figure, []).append(value)
    return {
        peer: {figure: {"mean": geometric_mean(values), "of": len(values)} for figure, values in figures.items()}
        for peer, figures in found.items()
    }


def section(figure, questions, clients):
    """One table: questions down, engines across, and how many times better ours is."""
    title, _, unit = FIGURES[figure]
    engines = {result["engine"]: result["is_ours"] for result in questions[0]["engines"]}
    peers = [name for name, is_ours in engines.items() if not is_ours] if any(engines.values()) else []
    rows = []
    for question in questions:
        by_name = {result["engine"]: result["summary"] for result in question["engines"]}
        rows.append([
            question["name"],
            *(shown(by_name[name], figure, unit) for name in engines),
            *(times(question["advantages"].get(peer, {}).get(figure)) for peer in peers),
        ])
    if peers:
        means = overall(questions)
        mean = [means.get(peer, {}).get(figure) for peer in peers]
        told = [f"**{times(one['mean'])}** of {one['of']}" if one else "–" for one in mean]
        rows.append(["geometric mean", *[""] * len(engines), *told])
    names = [f"**{name}**" if is_ours else name for name, is_ours in engines.items()]
    head = ["question", *names, *(f"× {peer}" for peer in peers)]
    return [f"## {title.format(clients=clients)}", "", *table(head, rows)]


def shown(figures, figure, unit):
    return short(figures[figure] * unit) if figures and figures[figure] else "none"


def problems(questions):
    every = [(question["name"], result) for question in questions for result in question["engines"]]
    found = [
        f"- **{result['engine']}** has no time for `{name}`: {result['problem']}"
        for name, result in every if result["problem"]
    ] + [
        f"- **{result['engine']}** does not answer `{name}` to many at once: {result['crowd_problem']}"
        for name, result in every if result["crowd_problem"] and not result["problem"]
    ]
    return ["## Who has no time, and why", "", *found, ""] if found else []


def texts(questions):
    """What was asked; engines that were asked in the same words together."""
    lines = ["## The questions", ""]
    for question in questions:
        rows = next((result["rows"] for result in question["engines"] if result["rows"] is not None), 0)
        rounded = f"; compared within a millionth: {', '.join(question['rounded'])}" if question["rounded"] else ""
        lines += [f"**{question['name']}**: {question['title']}. {rows:,} rows{rounded}.", ""]
        by_text = {}
        for result in question["engines"]:
            by_text.setdefault(result["sql"], []).append(result["engine"])
        for text, engines in by_text.items():
            lines += [f"```sql\n-- {', '.join(engines)}\n{cut(text)}\n```", ""]
    return lines


def cut(text, letters=1_200):
    """Two hundred moments are the same again and again; the whole text is in the JSON."""
    return text if len(text) <= letters else f"{text[:200]} … {text[-600:]}"


def noise(report):
    if report["cores_others"] <= OTHERS_MAX:
        return []
    return [f"**Others were at work**: they kept {report['cores_others']:.1f} cores busy. Trust no figure much.", ""]


def markdown(report):
    about, market = report["machine"], report["market"]
    packages = ", ".join(f"{name} {version}" for name, version in about["packages"].items())
    tables = "; ".join(
        f"gold.{name}: {rows:,} rows in {market['files'][name]:,} Parquet files of together"
        f" {market['bytes'][name] / MEGA:.1f} MB" for name, rows in market["rows"].items()
    )
    lines = [
        "# Questions about bars: marketlake, DuckDB and PostgreSQL", "",
        *noise(report),
        f"- when: {report['begun']}; commit {about['commit']}",
        f"- command: `{report['command']}`",
        f"- rows: seed {report['seed']}, {market['symbols']:,} symbols, {market['sessions']:,} sessions; {tables}",
        f"- rounds: {report['rounds']}; {report['clients']} clients for {report['seconds']:g} seconds, or one question"
        f" each; an answer may take {report['timeout']:g} seconds",
        f"- machine: {about['processor']}, {about['cores']} cores, {about['memory']}, kernel {about['kernel']},"
        f" governor {about['governor']}, {' '.join(about['flags'])}; load average {about['load_average']:.2f}",
        f"- versions: {report['program'] or 'no marketlake'}, {packages}, Python {about['python']}", "",
        "All engines have the same rows and are asked in one run, taking turns. An answer counts once another"
        " engine has given the same: decimals, counts, texts and moments to the last digit, quotients and floats"
        " within a millionth. Every later answer is compared with the first; of those to many clients at once, the"
        " number of rows of each and the whole of each client's last. Times are those of the client, from sending the"
        " question to having the last row, as bytes or as Arrow; hot ones are medians.", "",
        "*Cold* is a fresh process of the engine; the system's page cache is as the questions before have left it,"
        " which is warm. marketlake and PostgreSQL answer over PostgreSQL's protocol, in binary, to a client in"
        " another process; **DuckDB is in its client's process**, and sends nothing. *× peer* above 1: marketlake is"
        " that many times faster, or smaller.", "",
    ]
    questions = report["questions"]
    lines += problems(questions)
    for figure in FIGURES:
        lines += section(figure, questions, report["clients"])
    lines += ["## Who took part, and how", "", *(f"- {name}: {how}" for name, how in report["how"].items()), ""]
    return "\n".join([*lines, *texts(questions)])
