"""Where a fixed bug's sibling stands among all functions of a package, before its own fix.

    python benchmarks/siblings.py [--cache FOLDER] [--only NAME] [--learner NAME] [--json]

For each case: a git repository is made of one file before and after a historic fix (of that file
only the fixed function changes), ``adapt --git`` learns from it, with the package's own source of
the version before a later fix as background, and every function of that version is ranked. The
siblings are the functions that the later version fixed. The rank of a function counts itself and
all others that score as high or higher. The peer, in the same run: the functions most like the
vulnerable one, by the cosine of TF-IDF over words. Packages come from PyPI by ``pip download``.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from inoculate.calibration import Calibration
from inoculate.domain import Batch
from inoculate.domains.code.source import SourceCode
from inoculate.store.detector import load_detector
from inoculate.workflows.adapt import AdaptRequest, adapt
from inoculate.workflows.intake import Intake
from inoculate.workflows.matching import records_of


@dataclass(frozen=True)
class Case:
    """A fix that was made, and a later one of the same kind in the same package.

    Attributes:
        name: short.
        package: on PyPI.
        root: folder of the sources that are ranked.
        learned: file and function of the fix, and the versions before and after it.
        later: versions before and after the later fix.
        siblings: files and functions that it fixed.
        about: the two advisories.
    """

    name: str
    package: str
    root: str
    learned: tuple[str, str, str, str]
    later: tuple[str, str]
    siblings: tuple[tuple[str, str], ...]
    about: str


_GIS = "django/contrib/gis/db/models"
CASES = (
    Case(
        "modoboa delete", "modoboa", "modoboa",
        ("modoboa/admin/views/identity.py", "delaccount", "2.0.3", "2.0.4"), ("2.0.3", "2.0.4"),
        (("modoboa/admin/views/domain.py", "deldomain"),
         ("modoboa/admin/views/identity.py", "remove_permission"),
         ("modoboa/admin/views/alias.py", "delalias")),
        "CSRF: a view that changes something answered GET (CWE-352); one commit each, days apart",
    ),
    Case(
        "modoboa edit", "modoboa", "modoboa",
        ("modoboa/admin/views/identity.py", "delaccount", "2.0.3", "2.0.4"), ("2.0.5", "2.1.0"),
        (("modoboa/admin/views/identity.py", "editaccount"),
         ("modoboa/admin/views/domain.py", "editdomain")),
        "the same, in the next release, two months later",
    ),
    Case(
        "modoboa logout", "modoboa", "modoboa",
        ("modoboa/admin/views/identity.py", "delaccount", "2.0.3", "2.0.4"), ("2.2.1", "2.2.2"),
        (("modoboa/core/views/auth.py", "dologout"),),
        "the same, half a year later still",
    ),
    Case(
        "django alias", "django", "django",
        ("django/db/models/sql/query.py", "Query.add_annotation", "3.2.12", "3.2.13"),
        ("4.2.23", "4.2.24"),
        (("django/db/models/sql/query.py", "Query.add_filtered_relation"),),
        "SQL injection by an alias: CVE-2022-28346, CVE-2025-57833 (CWE-89)",
    ),
    Case(
        "django tolerance", "django", "django",
        ("django/contrib/postgres/fields/jsonb.py", "KeyTransform.as_sql", "2.2.3", "2.2.4"),
        ("2.2.10", "2.2.11"),
        ((f"{_GIS}/functions.py", "OracleToleranceMixin.as_oracle"),
         (f"{_GIS}/aggregates.py", "GeoAggregate.as_oracle")),
        "SQL formatted from an argument: CVE-2019-14234, CVE-2020-9402 (CWE-89)",
    ),
    Case(
        "django trunc", "django", "django",
        (f"{_GIS}/functions.py", "OracleToleranceMixin.as_oracle", "2.2.10", "2.2.11"),
        ("3.2.13", "3.2.14"),
        (("django/db/models/functions/datetime.py", "Extract.as_sql"),
         ("django/db/models/functions/datetime.py", "TruncBase.as_sql")),
        "SQL from an argument of a function: CVE-2020-9402, CVE-2022-34265 (CWE-89)",
    ),
    Case(
        "django length", "django", "django",
        ("django/utils/translation/trans_real.py", "get_supported_language_variant",
         "4.2.13", "4.2.14"),
        ("4.2.17", "4.2.18"),
        (("django/utils/ipv6.py", "clean_ipv6_address"),
         ("django/utils/ipv6.py", "is_valid_ipv6_address")),
        "a text of any length is worked on: CVE-2024-39614, CVE-2024-56374 (CWE-770)",
    ),
    Case(
        "wagtail html", "wagtail", "wagtail",
        ("wagtail/admin/compare.py", "BlockComparison.htmlvalue", "2.7.1", "2.7.2"),
        ("2.7.3", "2.7.4"),
        (("wagtail/contrib/forms/forms.py", "FormBuilder.get_field_options"),),
        "HTML that is not escaped: CVE-2020-11001, CVE-2020-15118 (CWE-79)",
    ),
    Case(
        "pillow decoders", "Pillow", "src",
        ("src/libImaging/PcxDecode.c", "ImagingPcxDecode", "6.2.1", "6.2.2"), ("7.0.0", "7.1.0"),
        (("src/libImaging/FliDecode.c", "ImagingFliDecode"),
         ("src/libImaging/Jpeg2KDecode.c", "j2k_decode_entry")),
        "a decoder reads or writes out of bounds: CVE-2020-5312, CVE-2020-10177, CVE-2020-10994",
    ),
    Case(
        "salt shell", "salt", "salt",
        ("salt/modules/restartcheck.py", "restartcheck", "3002.2", "3002.5"), ("3002.6", "3003"),
        (("salt/modules/snapper.py", "_is_text_file"),),
        "a shell command from names: CVE-2020-28243, CVE-2021-31607 (CWE-78)",
    ),
)  # fmt: skip
CACHE = Path.home() / ".cache" / "inoculate-siblings"
SDISTS = frozenset(("Pillow", "salt"))


def sources_of(package, version, cache):
    """Return the folder of a package's sources, downloaded and unpacked where they are not."""
    folder = Path(cache) / f"{package}-{version}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not folder.is_dir():
        kind = "--no-binary" if package in SDISTS else "--only-binary"
        with tempfile.TemporaryDirectory(dir=cache) as got:
            subprocess.run(
                [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check",
                 "--no-deps", "--no-build-isolation", kind, ":all:", "-d", got,
                 f"{package}=={version}"],
                check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )  # fmt: skip
            (archive,) = Path(got).iterdir()
            whole = Path(got) / "whole"
            if archive.suffix == ".whl":
                zipfile.ZipFile(archive).extractall(whole)
                whole.rename(folder)
            else:
                with tarfile.open(archive) as members:
                    members.extractall(whole, filter="data")
                next(whole.iterdir()).rename(folder)
    return folder


def functions_of(folder, file):
    """Return the records of one file."""
    return records_of(SourceCode(), file, (folder / file).read_bytes(), _stop)


def _stop(error):
    raise error


def text_of(folder, file, function):
    frame = functions_of(folder, file)
    return frame.filter(pl.col("name") == function)["text"][0]


def repository_of(case, cache, folder):
    """Make a repository with one fix in it; return the fix's commit."""
    file, function, old, new = case.learned
    before = (sources_of(case.package, old, cache) / file).read_text()
    texts = [text_of(sources_of(case.package, v, cache), file, function) for v in (old, new)]
    assert before.count(texts[0]) == 1, case.name
    target = Path(folder) / file
    target.parent.mkdir(parents=True)
    _git(folder, "init", "-q")
    for text in (before, before.replace(*texts)):
        target.write_text(text)
        _git(folder, "add", "-A")
        _git(folder, "commit", "-q", "--no-verify", "-m", "x")
    return _git(folder, "rev-parse", "HEAD")


def _git(folder, *words):
    who = {f"GIT_{w}_{k}": "x@example.org" for w in ("AUTHOR", "COMMITTER")
           for k in ("NAME", "EMAIL")}  # fmt: skip
    done = subprocess.run(
        ["git", "-C", str(folder), *words],
        capture_output=True, text=True, check=True, env=os.environ | who,
    )  # fmt: skip
    return done.stdout.strip()


def all_functions(folder):
    """Return the functions of a folder, less what is outside of functions."""
    intake = Intake()
    frames = [batch.frame for _, batch in intake.read([str(folder)], kind="code")]
    frame = pl.concat(frames, how="diagonal_relaxed")
    return frame.filter(~pl.col("name").str.ends_with("(outside of functions)"))


def ranks(frame, scores, folder, siblings):
    """Return the rank of each sibling: 1 is the most suspicious, ties count against it."""
    found = {}
    for file, function in siblings:
        found[function] = int((scores >= scores[row_of(frame, folder, file, function)]).sum())
    return found


def row_of(frame, folder, file, function):
    """Return the row of a function."""
    mask = (frame["path"] == str(folder / file)) & (frame["name"] == function)
    return int(np.flatnonzero(mask.to_numpy())[0])


def detector_scores(path, frame):
    """Return the functions' scores, and which are findings at the promised rate."""
    stored = load_detector(path)
    x = SourceCode().encode(Batch(frame), stored.views)
    scores = stored.detector.score(x).alarm()
    known = Calibration.of(stored.scores)
    return scores, known.p_values(scores.astype(np.float64)) <= known.promise(0.01)[0]


def word_scores(text, frame):
    """Return how like each function is to the vulnerable one, by its words."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    model = TfidfVectorizer(token_pattern=r"[A-Za-z]+", sublinear_tf=True)
    x = model.fit_transform([" ".join(re.findall(r"[A-Za-z]+", t)) for t in frame["text"]])
    return (x @ model.transform([text]).T).toarray()[:, 0]


def measured(case, cache, *, learner=None, background=None):
    """Return what one case gives.

    Args:
        case: the fixes.
        cache: folder of the packages.
        learner: None takes the usual one.
        background: another folder than the sources that are ranked.
    """
    before, after = (sources_of(case.package, v, cache) for v in case.later)
    with tempfile.TemporaryDirectory() as folder:
        repository, out = Path(folder) / "repository", Path(folder) / "x.detector"
        repository.mkdir()
        commit = repository_of(case, cache, repository)
        start = time.perf_counter()
        report = adapt(
            AdaptRequest(
                out=out, git=str(repository), commits=(commit,), learner=learner,
                background=(str(background or before / case.root),),
            )
        )  # fmt: skip
        seconds = time.perf_counter() - start
        old, new = all_functions(before / case.root), all_functions(after / case.root)
        scores, alarms = detector_scores(out, old)
        return {
            "case": case.name, "about": case.about, "functions": old.height,
            "learner": report.manifest.learner.name,
            "before": ranks(old, scores, before, case.siblings),
            "after": ranks(new, detector_scores(out, new)[0], after, case.siblings),
            "found": [f for p, f in case.siblings if alarms[row_of(old, before, p, f)]],
            "findings": int(alarms.sum()),
            "of_after": new.height,
            "words": ranks(old, word_scores(_learned_text(case, cache), old), before,
                           case.siblings),
            "adapt_s": round(seconds, 1),
        }  # fmt: skip


def _learned_text(case, cache):
    file, function, old, _ = case.learned
    return text_of(sources_of(case.package, old, cache), file, function)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", default=str(CACHE))
    parser.add_argument("--only")
    parser.add_argument("--learner")
    parser.add_argument("--background")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    for case in CASES:
        if arguments.only in (None, case.name):
            row = measured(
                case, arguments.cache, learner=arguments.learner, background=arguments.background
            )
            rows.append(row)
            print(
                f"{row['case']:18} of {row['functions']:6,}: before {row['before']}, "
                f"after {row['after']}, by words {row['words']}; found {row['found']} with "
                f"{row['findings']} findings ({row['learner']}, {row['adapt_s']} s)",
                flush=True,
            )
    if arguments.json:
        print(json.dumps({"cases": rows}))


if __name__ == "__main__":
    main()
