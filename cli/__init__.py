"""The command line: what `./dev` does.

- ``addresses``: Addresses, and whether a secret may be sent there
- ``app``: The product's commands, and what each takes. What a command needs is imported when it is called
- ``client``: The API as the commands use it
- ``commands``: What people call: each command, and `./dev up`, the whole product on one machine
- ``console``: The terminal that the commands print on
- ``demo``: The demonstration in `./dev up`: a small fleet that is there, has a past, and works
- ``errors``: How a command fails
- ``files``: Files that a command is told to read or to write: what is wrong with one is said before any work is done
- ``jobs``: Watches a job of the API until it has ended
- ``logins``: What `./dev login` keeps: one file for each API, in the user's configuration folder, that nobody else may
  read
- ``meter``: Shows how far something is: as a bar on a terminal, elsewhere as a plain line now and then
- ``migrate``: `python -m cli.migrate`: brings the database to the newest schema, as the deployment does before
  anything else
- ``place``: Where `./dev up` keeps its state, and how other commands find a running one
- ``provider``: The OpenID provider, as the command line asks it: the device flow (RFC 8628), refreshing, and revoking
  (RFC 7009)
- ``token``: The token by which commands prove who runs them, where they are not run beside the product itself
- ``upkeep``: Commands that look after what is derived from what came
"""
