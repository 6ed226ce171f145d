"""Packet ingest, by HTTP or by MQTT: packets are committed in batches.

- ``accounts``: The gateways' accounts at an MQTT broker: mosquitto's password file and rules, written from the secrets
- ``answers``: The answer to packets as a document, the same over HTTP and MQTT
- ``broker``: The connection to an MQTT broker: where it is, and a client that acknowledges a message when told to
- ``ingest``: Packet ingest: a bounded queue of packets, and the tasks that commit them in batches
- ``intake``: From bytes to results: a body is read, checked against the packet contract, and ingested
- ``latest``: The latest statuses, read in groups: whoever asks while one query runs is answered by the next one, all
  at once
- ``mqtt``: Packet ingest over MQTT, which is what gateways in the field speak
- ``topics``: Topics: who sent a message, whose packets it may carry, and where it may be answered
"""
