// What a program in TypeScript sees of the API; it only has to compile.
import type { components, operations } from "./api";

type Made = operations["create_depot"]["responses"]["201"]["content"]["application/json"];
type Sent = operations["send_packets"]["requestBody"]["content"]["application/json"];
type Binding = operations["create_controller_binding"]["requestBody"]["content"]["application/json"];

export const depot: components["schemas"]["DepotCreate"] = {
  name: "Arrow Road",
  timezone: "America/Toronto",
  circuits: [{ name: "Feed 1", children: [{ name: "Charger bank" }] }],
};
export const packet: components["schemas"]["Packet"] = {
  device_id: "0198c3a5-6d52-7c11-9f0e-2a4b8c1d3e5f",
  timestamp: 1_772_000_000_000,
  sensors: [{ sensor_id: "mgc-1", measurands: [{ key: "LIMIT_PEAK_SHAVING", value: "true", unit: null }] }],
  "a key of the maker's own": { nested: [1, null, "text"] },
};
export const one: Sent = packet;
export const several: Sent = [packet, packet];
export const binding: Binding = { depot_id: packet.device_id, device_id: packet.device_id, capabilities: ["DER"] };
export const nameOf = (made: Made): string => `${made.name} ${made.provisioning.state}`;
