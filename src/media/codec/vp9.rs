pub fn starts_key_frame(_payload: &[u8]) -> bool {
    todo!()
}
