"""What pollers on several machines write down for each other, read by another client of the store.

Every shard of the symbols has a chain of small objects, one for each change. A snapshot replaces
old ones after a while, so they are collected while the pollers run.
"""

import json
import re
import time
from collections import Counter

from botocore.exceptions import ClientError

from services import BUCKET, s3, s3_keys

EVERY_SECONDS = 2


class Shards:
    def __init__(self, place, folder="poll"):
        self.prefix, self.chains = f"{place.id}/{folder}/", {}
        self.client = s3()

    def collect(self):
        """Reads the links that are new."""
        for key in s3_keys(self.prefix):
            link = re.search(r"/shard=(\d+)/links/(\d+)$", key)
            if not link:
                continue
            chain, number = self.chains.setdefault(int(link[1]), {}), int(link[2])
            if number not in chain:
                try:
                    stored = self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
                    # The first line is the hash of the second.
                    chain[number] = json.loads(stored.splitlines()[1])
                except ClientError as error:
                    # A snapshot has just replaced it; if it is missed, the checks say so.
                    assert error.response["Error"]["Code"] == "NoSuchKey", error

    def watch(self, seconds):
        """Collects for a time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.collect()
            time.sleep(min(EVERY_SECONDS, max(0, end - time.monotonic())))
        self.collect()

    def links(self):
        """Every link with its shard, each chain in its order and without a hole."""
        for shard, chain in sorted(self.chains.items()):
            assert sorted(chain) == list(range(len(chain))), f"shard {shard}: links were missed"
            for number in range(len(chain)):
                yield shard, chain[number]["writer"], chain[number]["change"]

    def holders(self):
        """Who holds each shard now; shards without symbols are held by nobody."""
        holders = {}
        for shard, writer, change in self.links():
            holders[shard] = None if change["kind"] == "release" else writer
        return {shard: holder for shard, holder in holders.items() if holder}

    def pages(self):
        """How many pages each poller has recorded."""
        return Counter(
            writer for _, writer, change in self.links() if change["kind"] == "record_page"
        )

    def assert_exclusive(self):
        """One poller at a time has fetched for a shard, one fetch at a time, and under its own id."""
        holder, under_way, newest = {}, {}, Counter()
        recorded = set()
        for shard, writer, change in self.links():
            kind = change["kind"]
            where = f"shard {shard}: {writer}: {change}"
            if kind == "claim":
                holder[shard], under_way[shard] = writer, None
                continue
            assert holder.get(shard) == writer, f"{where}, but {holder.get(shard)} holds it"
            if kind == "release":
                holder[shard] = None
            elif kind == "begin_fetch":
                assert under_way[shard] is None, f"{where}, but {under_way[shard]} is under way"
                assert newest[shard] < change["fetch_id"], f"{where}, after {newest[shard]}"
                under_way[shard] = newest[shard] = change["fetch_id"]
            elif kind in ("record_page", "finish_fetch", "fail_fetch"):
                assert under_way[shard] == change["fetch_id"], f"{where}, but not {under_way[shard]}"
                if kind == "record_page":
                    page = change["fetch_id"], change["page"]
                    assert page not in recorded, f"{where}: recorded twice"
                    recorded.add(page)
                else:
                    under_way[shard] = None
