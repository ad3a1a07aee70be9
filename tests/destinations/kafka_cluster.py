"""A Kafka cluster of one broker in this process: librdkafka's own mock."""

from __future__ import annotations

import time
from typing import Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, Producer, TopicPartition


class Cluster:
    """A context manager. It ends with the producer that holds it."""

    def __init__(self) -> None:
        self._holder = Producer(
            {"bootstrap.servers": "ignored", "test.mock.num.brokers": 1, "log_level": 0}
        )
        brokers = self._holder.list_topics(timeout=10).brokers.values()
        self.address = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        del self._holder

    def read(self, topic: str, count: int, timeout_seconds: float = 20.0) -> list[Message]:
        """The first `count` messages of the topic, or those that came in time."""
        consumer = Consumer(
            {"bootstrap.servers": self.address, "group.id": "unused", "log_level": 0}
        )
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, each, OFFSET_BEGINNING) for each in partitions])
        messages: list[Message] = []
        deadline = time.monotonic() + timeout_seconds
        try:
            while len(messages) < count and time.monotonic() < deadline:
                message = consumer.poll(0.2)
                if message is not None and message.error() is None:
                    messages.append(message)
        finally:
            consumer.close()
        return messages
