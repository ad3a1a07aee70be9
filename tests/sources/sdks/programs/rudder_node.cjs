// Every call of RudderStack's SDK for Node, once: host, write key. Prints the errors.
const RudderAnalytics = require('@rudderstack/rudder-sdk-node')

const [host, writeKey] = process.argv.slice(2)
const errors = []
// The first call is flushed by itself, and nobody waits for what becomes of it.
process.on('unhandledRejection', (error) => errors.push(error.message))
process.on('exit', () => console.log(JSON.stringify(errors)))
// The timeout spans all retries and their waiting.
const sdk = new RudderAnalytics(writeKey, { dataPlaneUrl: host, retryCount: 3, timeout: 30000 })
const userId = 'u-1'
const order = {
  order_id: 'O-1',
  revenue: 25.5,
  currency: 'USD',
  products: [{ product_id: 'p1', price: 10, quantity: 2 }],
}
sdk.identify({ userId, traits: { email: 'a@example.com' } })
sdk.track({ userId, event: 'Order Completed', properties: order })
sdk.page({ userId, category: 'Docs', name: 'Node', properties: { url: 'https://shop.example.com/p' } })
sdk.screen({ userId, name: 'Main', properties: { a: 1 } })
sdk.group({ userId, groupId: 'g-1', traits: { name: 'Acme' } })
sdk.alias({ userId, previousId: 'anon-1' })
// A flush that fails ends before it has sent what came after the first call.
const flush = async () => {
  for (let left = 5; left && sdk.queue.length; left--) {
    await sdk.flush().catch((error) => errors.push(error.message))
  }
}
flush()
