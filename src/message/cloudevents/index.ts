// The door `swarmbus/cloudevents`.

export {
  CLOUD_EVENT_EXTENSIONS,
  type CloudEvent,
  type CloudEventOptions,
  type FromCloudEventOptions,
  fromCloudEvent,
  toCloudEvent,
} from './event.ts'
export {
  CLOUD_EVENT_TYPE,
  fromHttp,
  type HttpEvent,
  type IncomingHttp,
  toBinaryHttp,
  toStructuredHttp,
} from './http.ts'
