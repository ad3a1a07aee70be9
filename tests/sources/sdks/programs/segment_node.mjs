// Every call of Segment's SDK for Node, once: host, write key. Prints the errors.
import { Analytics } from '@segment/analytics-node'

const [host, writeKey] = process.argv.slice(2)
const errors = []
const sdk = new Analytics({ writeKey, host, maxRetries: 3, httpRequestTimeout: 10000 })
sdk.on('error', (error) => errors.push(String(error.code)))
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
await sdk.closeAndFlush({ timeout: 30000 })
console.log(JSON.stringify(errors))
