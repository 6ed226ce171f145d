"""What is sent with a commit (PostgreSQL's ``NOTIFY``), and who listens.

- ``listen``: Hearing what PostgreSQL says on a channel, for as long as the process lives
- ``notify``: Telling whoever watches a depot that something of it changed, once the transaction has committed
"""
