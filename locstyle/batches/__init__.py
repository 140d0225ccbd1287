"""Many edits, done once each: on this machine, on a part of a cluster's array, or on Ray."""

from locstyle.batches.batch import Batch as Batch
from locstyle.batches.batch import batch as batch
from locstyle.batches.task import Batching as Batching
from locstyle.batches.task import Ended as Ended
