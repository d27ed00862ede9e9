"""The landers' consumer group, as Kafka's own tools see it."""

from confluent_kafka.admin import AdminClient

from harness import until

DATASETS = ("eod", "intraday")


class Group:
    """Who lands which partitions."""

    def __init__(self, place, partitions):
        self.admin, self.place = AdminClient({"bootstrap.servers": place.brokers}), place
        self.all = [(dataset, number) for dataset in DATASETS for number in range(partitions)]

    def members(self):
        """What each member has, as pairs of dataset and partition, with its name for itself."""
        group = f"{self.place.id}-land"
        found = self.admin.describe_consumer_groups([group], request_timeout=30)[group].result()
        return [
            (member.client_id, sorted(
                (part.topic.removeprefix(f"{self.place.id}."), part.partition)
                for part in member.assignment.topic_partitions
            ))
            for member in found.members
        ]

    def until(self, *names):
        """Waits until members of these names, and nobody else, have as much of each dataset, or one
        more; returns who has what."""

        def look():
            found = self.members()
            has_all = sorted(part for _, parts in found for part in parts) == self.all
            is_expected = sorted(name for name, _ in found) == sorted(names)
            return found if is_expected and has_all and is_fair(found) else None

        return until(f"division of the partitions among {names}", look, every=0.5)


def is_fair(members):
    """Whether every member has its part of each dataset: one of them has most of the records."""
    for dataset in DATASETS:
        sizes = [sum(part[0] == dataset for part in parts) for _, parts in members]
        if 1 < max(sizes) - min(sizes):
            return False
    return True
