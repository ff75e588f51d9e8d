"""Carry orders to workers and outcomes back: in this process, or over RabbitMQ."""
