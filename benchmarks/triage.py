"""How far up a triage list known weaknesses stand among a real project's functions.

    python benchmarks/triage.py --project python=FOLDER --project c=FOLDER [--tools BIN]

Functions that are known to be vulnerable are put among 2,000 functions of a project that no set
holds any of, and the list for their weakness is looked at: the chance that one of them stands above
one of the project's (AUROC), and how many of the first 20 and 100 are theirs. The project's own
functions count as harmless, which not all of them are. Brackets: 95 % intervals over 40 draws, both
sides redrawn. At most 100 are planted, never the same text twice.

``rules`` is what ``inoculate scan`` does without a detector (``features.code.code_triage``);
``learned`` is a head per weakness: logistic regression on the columns of ``code_schema``, from all
sets in ``LEARNED`` but the one that is judged, without texts that it holds too; ``rules, then
learned`` orders what the rules hold alike by it. Beside: longest first, random order, and with
``--tools`` Bandit (Python) and Flawfinder (C, C++), each function a file of its own, an issue of
the weakness before others.

``DESIGN`` was looked at while the rules were written, function by function. Of the sets in
``JUDGED`` no function was, nor their figures before the rules stood, with one exception: texts of
SQL wherever they go were added once Bandit was seen to find more of ``sven_pairs``. Weaknesses with
ten functions or more in a language are judged. With ``--packages`` instead: where functions of
whole packages stand that were found to be vulnerable later, in their own version (the cases of
``benchmarks/siblings.py``).
"""

import argparse
import csv
import io
import json
import os
import re
import subprocess
import tempfile
import textwrap
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
from siblings import CASES

from inoculate.domain import Batch
from inoculate.features.code.code_languages import language_named
from inoculate.features.code.code_tree import parse
from inoculate.features.code.code_triage import hits
from inoculate.metrics import auroc
from inoculate.registry import DOMAINS
from inoculate.workflows.intake import Intake
from inoculate.workflows.scan import ScanRequest
from inoculate.workflows.triage import triage

DATA = Path(os.environ.get("INOCULATE_DATA", "../shared/datasets")) / "code"
DESIGN = ("codeql_examples", "cyberseceval_insecure", "gosec_samples")
JUDGED = ("sven_pairs", "cvefix_mined_dev", "pyvul_functions", "semgrep_style_other",
          "vulrepair_val_cfuncs")  # fmt: skip
LEARNED = (*DESIGN, "sven_pairs", "nvd_cve_c_pairs", "juliet_c_functions", "juliet_java_functions")
MOST, MOST_PLANTED, N_PROJECT, DRAWS, FEWEST, SEED = 6_000, 100, 2_000, 40, 10, 0
FAMILY = {"python": "python", "c": "c", "cpp": "c"}
SUFFIX = {"python": ".py", "c": ".c"}
GROUPS = (
    (22, 23, 36, 73, 98), (78, 77, 88), (79, 80, 83, 116), (89, 564), (94, 95, 96, 1336),
    (120, 119, 121, 122, 787, 125, 126, 127, 124), (190, 191, 680, 789, 131), (327, 328, 326, 916),
    (338, 330), (798, 259, 321), (416, 415), (502,), (601,), (918,), (400, 770, 1333),
)  # fmt: skip
_GROUP = {number: group[0] for group in GROUPS for number in group}
_BLANK = re.compile(r"\s+")
_LEVELS = {"LOW": 1, "MEDIUM": 2, "HIGH": 3}


def group_of(cwe):
    """Return the first number of the group of a weakness, 0 for none."""
    number = re.search(r"\d+", str(cwe or ""))
    return _GROUP.get(int(number[0]), int(number[0])) if number else 0


def read(name):
    """Return a set's functions: text, language, weakness, and whether they are vulnerable."""
    frame = pl.read_parquet(DATA / f"{name}.parquet")
    text = "code_clean" if "code_clean" in frame.columns else "code"
    frame = frame.select("language", "cwe", "vulnerable", text=pl.col(text))
    return frame.sample(min(MOST, frame.height), seed=SEED, shuffle=True)


def encoded(frame):
    domain = DOMAINS.load("source")()
    batch = Batch(frame.select("text", "language", origin=pl.lit("set")))
    return np.nan_to_num(domain.encode(batch, domain.views(batch)).stacked())


def ruled(frame):
    """Return the points of each function by group of weaknesses."""
    out = []
    for text, language in frame.select("text", "language").iter_rows():
        nodes = parse(text, language_named(language))
        points = {}
        for hit in hits(nodes) if nodes is not None else ():
            cwe = group_of(hit.cwe)
            points[cwe] = max(points.get(cwe, 0.0), hit.points)
        out.append(points)
    return out


def in_project(folder):
    frames = [b.frame for _, b in Intake(None, True).read([folder], kind="code")]
    return pl.concat(frames).select("text", "language", "name", "path")


def plain(frame):
    return [_BLANK.sub("", t) for t in frame["text"]]


class Heads:
    """A head per weakness, from all sets but one."""

    def __init__(self, sets, x):
        self.sets, self.x = sets, x

    def scores(self, judged, cwe, rows):
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        own = set(plain(self.sets[judged]))
        parts, labels = [], []
        for name in LEARNED:
            if name == judged:
                continue
            frame = self.sets[name]
            keep = np.array([t not in own for t in plain(frame)])
            bad = np.array([
                v == 1 and group_of(c) == cwe
                for c, v in frame.select("cwe", "vulnerable").iter_rows()
            ])  # fmt: skip
            parts.append(self.x[name][keep])
            labels.append(bad[keep])
        y = np.concatenate(labels)
        if y.sum() < FEWEST:
            return None
        scale = StandardScaler().fit(np.concatenate(parts))
        model = LogisticRegression(C=0.01, class_weight="balanced", max_iter=300)
        model.fit(scale.transform(np.concatenate(parts)), y)
        return model.decision_function(scale.transform(rows))


def scanned(tool, frame, family):
    """Return how much a scanner says of each function, by group of weaknesses; -1: of any."""
    out = [{} for _ in range(frame.height)]
    with tempfile.TemporaryDirectory(prefix="triage-") as name:
        folder = Path(name)
        for i, text in enumerate(frame["text"]):
            (folder / f"f{i:06d}{SUFFIX[family]}").write_text(
                textwrap.dedent(text), errors="replace"
            )
        for place, cwe, points in _issues(tool, folder, family):
            said = out[int(Path(place).stem[1:])]
            for key in (cwe, -1):
                said[key] = said.get(key, 0) + points
    return out


def _issues(tool, folder, family):
    words = (
        [tool, "-r", folder, "-f", "json", "-q", "--exit-zero"]
        if family == "python"
        else [tool, "--csv", "--minlevel=1", folder]
    )
    done = subprocess.run(words, capture_output=True, check=False).stdout.decode("utf-8", "replace")
    if family == "python":
        for r in json.loads(done)["results"]:
            points = _LEVELS.get(r["issue_severity"], 1) * _LEVELS.get(r["issue_confidence"], 1)
            yield r["filename"], group_of(r["issue_cwe"].get("id")), points
        return
    for row in csv.DictReader(io.StringIO(done)):
        for cwe in re.findall(r"CWE-\d+", row["CWEs"]):
            yield row["File"], group_of(cwe), int(row["Level"])


def judged_once(bad, good, rng):
    b, g = rng.choice(bad, len(bad)), rng.choice(good, N_PROJECT)
    every = np.concatenate([b, g])
    order = np.lexsort((rng.random(len(every)), -every))
    mine = order < len(b)
    return auroc(g, b), mine[:20].mean(), mine[:100].mean()


def judged(bad, good):
    """Return AUROC, and the share of the first 20 and 100, each with its interval."""
    rng = np.random.default_rng(SEED)
    found = np.array([judged_once(bad, good, rng) for _ in range(DRAWS)])
    ends = np.quantile(found, [0.025, 0.975], axis=0)
    return [
        [round(float(v), 3) for v in (m, *e)] for m, e in zip(found.mean(0), ends.T, strict=True)
    ]


def of_weakness(points, cwe):
    # what says another weakness stands above what says nothing
    return np.array([p.get(cwe, 0.0) + 1e-3 * max(p.values(), default=0.0) for p in points])


def ranks(scores):
    return np.argsort(np.argsort(scores, kind="stable"), kind="stable") / len(scores)


def rows_of(name, family, project, sets, x, heads, tools, cwe):
    """Yield the figures of one weakness of one set in one project."""
    frame, around = sets[name], project["frame"]
    its = frame.select("language", "cwe", "vulnerable").iter_rows()
    wanted = [
        i for i, (told, c, v) in enumerate(its)
        if v == 1 and FAMILY.get(told) == family and group_of(c) == cwe
    ]  # fmt: skip
    texts = plain(frame)
    wanted = list({texts[i]: i for i in wanted}.values())[:MOST_PLANTED]
    if len(wanted) < FEWEST:
        return
    planted, n = frame[wanted], len(wanted)
    scores = {
        "rules": of_weakness([*ruled(planted), *project["ruled"]], cwe),
        "longest": np.array([len(t) for t in (*planted["text"], *around["text"])], float),
        "random": np.zeros(n + around.height),
    }
    scores["rules, then longest"] = scores["rules"] + 1e-4 * ranks(scores["longest"])
    learned = None
    if heads is not None:
        rows = np.concatenate([x[name][wanted], project["x"]])
        learned = heads.scores(name, cwe, rows)
    if learned is not None:
        scores["learned"] = learned
        scores["rules, then learned"] = scores["rules"] + 1e-4 * ranks(learned)
    if tools.get(family):
        said = [*scanned(tools[family], planted, family), *project["scanned"]]
        scores[Path(tools[family]).name] = of_weakness(said, cwe)
    for method, s in scores.items():
        area, first20, first100 = judged(s[:n], s[n:])
        yield {
            "set": name, "project": project["name"], "cwe": cwe, "planted": n, "method": method,
            "auroc": area, "first_20": first20, "first_100": first100,
        }  # fmt: skip


def in_packages(cache):
    """Yield where functions of real packages stand that were found to be vulnerable later."""
    told = {}
    for case in CASES:
        file, function, before, _ = case.learned
        told.setdefault((case.package, before, case.root), set()).add((file, function))
        told.setdefault((case.package, case.later[0], case.root), set()).update(case.siblings)
    for (package, version, root), functions in told.items():
        folder = cache / f"{package}-{version}"
        base = next((p for p in (folder / root, *folder.glob(f"*/{root}")) if p.is_dir()), None)
        if base is None:
            continue
        request = ScanRequest(sources=(str(base),))
        report = triage(request, most=10**6).report
        listed = [(f.record["path"], f.record["name"], f) for f in report.findings]
        for file, function in sorted(functions):
            found = [
                (i, f) for i, (path, name, f) in enumerate(listed, 1)
                if path.endswith(file) and name == function
            ]  # fmt: skip
            rank, finding = found[0] if found else (None, None)
            yield {
                "package": f"{package} {version}", "functions": report.n_records,
                "listed": len(listed), "function": function, "rank": rank,
                "as": finding.threat if finding else None,
                "in_its_weakness": finding.reasons[0].text if finding else None,
            }  # fmt: skip


def options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--project", action="append", default=[], metavar="LANGUAGE=FOLDER")
    parser.add_argument("--tools", type=Path, help="bin folder of bandit and flawfinder")
    parser.add_argument("--packages", type=Path, help="cache of benchmarks/siblings.py")
    parser.add_argument("--output", type=Path, help="writes FILE.json")
    parser.add_argument("--quick", action="store_true", help="without what is learned")
    parser.add_argument("--design", action="store_true", help="judge the sets of DESIGN instead")
    return parser.parse_args()


def main():
    given = options()
    if given.packages:
        for row in in_packages(given.packages):
            print(json.dumps(row), flush=True)
    else:
        of_sets(given)


def of_sets(given):
    """Print the figures of every set in every project."""
    names = DESIGN if given.design else JUDGED
    sets = {name: read(name) for name in dict.fromkeys((*names, *LEARNED))}
    x = {} if given.quick else {name: encoded(frame) for name, frame in sets.items()}
    heads = None if given.quick else Heads(sets, x)
    tools = {}
    for family, tool in (("python", "bandit"), ("c", "flawfinder")):
        if given.tools and (given.tools / tool).exists():
            tools[family] = given.tools / tool
    table = []
    for family, folder in (p.split("=", 1) for p in given.project):
        frame = in_project(folder)
        frame = frame.filter(
            pl.col("language").is_in([k for k, f in FAMILY.items() if f == family])
        )
        frame = frame.sample(min(frame.height, 2 * N_PROJECT), seed=SEED)
        project = {"name": Path(folder).name, "frame": frame}
        project["x"] = None if given.quick else encoded(frame)
        project["ruled"] = ruled(frame)
        if tools.get(family):
            project["scanned"] = scanned(tools[family], frame, family)
        for name in names:
            bad = sets[name].filter(pl.col("vulnerable") == 1)
            for cwe, _ in Counter(map(group_of, bad["cwe"])).most_common():
                for row in (
                    rows_of(name, family, project, sets, x, heads, tools, cwe) if cwe else ()
                ):
                    table.append(row)
                    print(json.dumps(row), flush=True)
    if given.output:
        given.output.with_suffix(".json").write_text(
            "[\n" + ",\n".join(json.dumps(r) for r in table) + "\n]\n"
        )


if __name__ == "__main__":
    main()
