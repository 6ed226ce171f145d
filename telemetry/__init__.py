"""The packet door: packets come in here, by HTTP or by MQTT, and are taken in groups.

- ``answers``: The answer to packets as a document, the same through whichever door they came
- ``broker``: The connection to an MQTT broker: where it is, and a client that acknowledges a message when told to
- ``door``: The packet door: whoever brings packets waits here until they are committed
- ``intake``: From bytes to answers: what a sender brings is read, checked against the contract, and taken through the
  door
- ``latest``: The latest statuses, read in groups: whoever asks while one query runs is answered by the next one, all
  at once
- ``mqtt``: The packet door over MQTT, which is what gateways in the field speak
- ``topics``: Topics: who sent a message, whose packets it may carry, and where it may be answered
"""
