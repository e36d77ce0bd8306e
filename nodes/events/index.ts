/** `redclaw-events`: says how accounts are and what became of messages, so that a flow can raise an alarm. */
import { gatewayOf } from "../gateway/runtime";
import { type NodeConfig, type NodeRed, nodeClass, onClose, type RedNode } from "../red";
import { choiceOf } from "./choice";
import { Joined } from "./joined";
import { EventsStatus } from "./status";

export default function eventsNode(RED: NodeRed): void {
  const Node = nodeClass(RED, (node: RedNode, config: NodeConfig) => {
    const gateway = gatewayOf(RED);
    const wanted = choiceOf(config);
    const status = new EventsStatus(node);
    const joined = new Joined((news) => {
      status.show(news);
      node.send({ payload: news, topic: `redclaw/${news.event}` });
    });
    const stopListening = gateway.onNews((news) => {
      if (wanted(news)) joined.add(news);
    });
    onClose(node, () => {
      stopListening();
      joined.close();
      status.close();
    });
  });
  RED.nodes.registerType("redclaw-events", Node);
}
