"""One folder of files and how it is loaded: what a row of the tables of cases is made of."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Differs:
    """A difference that is known: why, and the rows of both sides, values in the order of columns.

    `types` are those of our columns that differ.
    """

    why: str
    ours: list
    spark: list
    types: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """`files` by name are text, bytes or an Arrow table (which becomes Parquet); with `written`,
    Spark writes the rows of that SQL instead, with `writer` as options."""

    name: str
    format: str
    schema: str | None
    files: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)
    # What one side alone is told: where Auto Loader's defaults are not Spark's.
    ours: dict = field(default_factory=dict)
    spark: dict = field(default_factory=dict)
    # Files that come after the first load; both sides are started again for each folderful.
    later: tuple = ()
    written: str | None = None
    writer: dict = field(default_factory=dict)
    differs: Differs | None = None
    # Whether we keep what does not fit in `_rescued_data`, beside a null as Spark has it. Without,
    # a record with such a field goes to quarantine.
    rescues: bool = True
    # The columns whose values are compared, where the others hold what each side writes its own way.
    columns: tuple = ()
    # How many batches both sides need for the first load.
    batches: int | None = None
