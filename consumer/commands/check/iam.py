"""The rights where brokers ask AWS's IAM instead of rules of their own: actions of a policy.

As https://docs.aws.amazon.com/msk/latest/developerguide/kafka-actions.html has them: which action
is equivalent to an operation of Kafka's, on which resource, and what each of them requires besides.
"""

from collections.abc import Collection, Iterable, Iterator

from consumer.commands.check.rights import Right, marked
from consumer.settings import Settings

PROVIDER = "aws-msk-iam"

HEAD = "What the policy of our role needs, ACCOUNT and CLUSTER being yours (* is missing):"

_ACTIONS = {
    ("topic", "Read"): "ReadData",
    ("topic", "Write"): "WriteData",
    ("topic", "Create"): "CreateTopic",
    ("topic", "Describe"): "DescribeTopic",
    ("group", "Read"): "AlterGroup",
    ("group", "Describe"): "DescribeGroup",
    ("cluster", "DescribeConfigs"): "DescribeClusterDynamicConfiguration",
}
_TO_COME_IN = ("Connect", "DescribeCluster")
_PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
"""Beginnings of regions whose resources begin otherwise than ``arn:aws``."""


def lines_for(settings: Settings, missing: Collection[Right]) -> Iterator[str]:
    """Yield lines: what the policy needs, ``*`` before what is known to be ``missing``."""
    region = settings.aws_region or ""
    yield HEAD
    yield f"  {_line(_TO_COME_IN, 'cluster', '', region)}"
    for mark, right in marked(settings, missing):
        actions = [_ACTIONS[right.kind, each] for each in right.operations]
        name = f"/{right.name}{'*' if right.is_prefix else ''}" if right.name else ""
        yield f"{mark} {_line(actions, right.kind, name, region)}"


def _line(actions: Iterable[str], kind: str, name: str, region: str) -> str:
    of_region = [names for begins, names in _PARTITIONS.items() if region.startswith(begins)]
    partition = next(iter(of_region), "aws")
    allowed = ", ".join(f"kafka-cluster:{each}" for each in actions)
    return f"{allowed} on arn:{partition}:kafka:{region}:ACCOUNT:{kind}/CLUSTER/*{name}"
