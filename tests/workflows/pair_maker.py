"""Makes small fixes of SQL that is built from what a caller says, as files and as commits."""

import os
import subprocess

BEFORE = """import sqlite3


def {name}(db, {what}):
    query = "SELECT {columns} FROM users WHERE {what} = '%s'" % {what}
    rows = db.execute(query).fetchall()
    return [row[0] for row in rows]


def total(db):
    return db.execute("SELECT COUNT(*) FROM users").fetchone()[0]


def shown(rows):
    for row in rows:
        yield ", ".join(str(cell) for cell in row)
"""
AFTER = BEFORE.replace("'%s'\" % {what}", '?"').replace(
    "execute(query)", "execute(query, [{what}])"
)
NAMES = ("find", "name", "*"), ("mail_of", "mail", "mail"), ("by_role", "role", "id, name")


def before(k=0):
    return BEFORE.format(**dict(zip(("name", "what", "columns"), NAMES[k], strict=True)))


def after(k=0):
    return AFTER.format(**dict(zip(("name", "what", "columns"), NAMES[k], strict=True)))


def write_pair(folder, name, old, new, ending=".py"):
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.vuln{ending}").write_text(old)
    (folder / f"{name}.fixed{ending}").write_text(new)


def git(folder, *words):
    names = {f"GIT_{who}_{what}": "x@example.org" for who in ("AUTHOR", "COMMITTER")
             for what in ("NAME", "EMAIL")}  # fmt: skip
    done = subprocess.run(
        ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True,
        env=os.environ | names | {"GIT_CONFIG_NOSYSTEM": "1"},
    )  # fmt: skip
    return done.stdout.strip()


def commit(folder, files):
    """Write files, commit them, and return the commit's id."""
    if not (folder / ".git").exists():
        folder.mkdir(exist_ok=True)
        git(folder, "init", "-q")
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--no-verify", "-m", "x")
    return git(folder, "rev-parse", "HEAD")
