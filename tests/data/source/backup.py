"""Makes copies."""
import os
import sqlite3

TARGET = "/var/backups"
os.makedirs(TARGET, exist_ok=True)


class Backup:
    def __init__(self, db):
        self.db = db

    @property
    def size(self):
        return len(self.db)

    def find(self, user, when=None):
        rows = self.db.execute("SELECT * FROM files WHERE owner = '" + user + "'")
        try:
            return [r for r in rows if r[1] > when]
        except TypeError:
            pass


def archive(path):
    os.system(f"tar czf {TARGET}/all.tgz {path}")
    with open(path) as f:
        return f.read()


if __name__ == "__main__":
    archive("/home")
