"""The depots' list and the pages and dialogs of what is configured in one.

- ``depot_circuits``: A depot's circuits as dialogs offer them: by path, by place, by parent
- ``depot_settings``: The dialog of a depot's settings: name, time zone, region, tags, and whether scenarios may run on
  it
- ``depots``: The pages of all depots: the list, and the creation of one
- ``device``: The page of one device: what its sensor actions do with what it sends, and what it has sent lately
- ``device_dialogs``: The dialogs that add, change and delete a device: of the Devices tab, and of the device's own
  page
- ``devices``: The Devices tab of a depot: its gateways, its power sources, and its devices with what each does and
  last sent
- ``fleet``: The pages of the fleet as a whole
- ``gateway_dialogs``: The dialogs of the Devices tab that add, change and delete a gateway
- ``gateway_secret_dialogs``: The dialogs of the Devices tab that list the secrets of a gateway, create one and revoke
  one
- ``outline``: The circuits of a depot that is being created: lines with a level, as in an outline
- ``power_source_dialogs``: The dialogs of the Devices tab that add, change and delete a power source
- ``remediations``: The remediations page: what stops updates by a site's configuration, and what a person does about
  it
- ``sensor_action_dialogs``: The dialogs of a device's page that configure, change, switch and delete its sensor
  actions
- ``site_forms``: The dialogs of a site's things in one piece: a kind of thing says its fields, how it is read, saved
  and deleted
- ``translations``: A gateway's ``output_translation`` as people see and choose it: the power source that it names
"""
